// A CAR to JSON files by @atcute/repo: node atcute.mjs CAR DIR. Nothing is verified or synced.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fromUint8Array } from '@atcute/repo';

const [car, target] = process.argv.slice(2);
const made = new Set();
for (const { collection, rkey, record } of fromUint8Array(readFileSync(car))) {
  if (!made.has(collection)) {
    mkdirSync(`${target}/${collection}`);
    made.add(collection);
  }
  writeFileSync(`${target}/${collection}/${rkey}.json`, `${JSON.stringify(record, null, 2)}\n`);
}
