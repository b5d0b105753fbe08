// A CAR to JSON files by @atproto/repo: node atproto.mjs CAR DIR. Nothing is verified or synced.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { lexToJson } from '@atproto/lex-json';
import { MemoryBlockstore, Repo, readCarWithRoot } from '@atproto/repo';

const [car, target] = process.argv.slice(2);
const { root, blocks } = await readCarWithRoot(readFileSync(car));
const repo = await Repo.load(new MemoryBlockstore(blocks), root);
const made = new Set();
for await (const { collection, rkey, record } of repo.walkRecords()) {
  if (!made.has(collection)) {
    mkdirSync(`${target}/${collection}`);
    made.add(collection);
  }
  const text = JSON.stringify(lexToJson(record), null, 2);
  writeFileSync(`${target}/${collection}/${rkey}.json`, `${text}\n`);
}
