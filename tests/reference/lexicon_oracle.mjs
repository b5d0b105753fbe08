/**
 * Judge records as the reference PDS does, without a server: read lines of JSON, write one line for each.
 *
 * A line is `{"rkey": ..., "record": ...}`; the answer is `""` for a record that the PDS takes as valid, what it
 * would say of one that it refuses, and `null` for a type that it does not know. REFERENCE_HOME has node_modules.
 */

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const { resolve } = createRequire(join(process.env.REFERENCE_HOME, 'package.json'))
const home = dirname(resolve('@atproto/pds/package.json'))
const inside = createRequire(join(home, 'package.json')).resolve
const load = (file) => import(pathToFileURL(file))
const { RecordSchema, walk } = await load(inside('@atproto/lex'))
const { jsonToLex } = await load(inside('@atproto/lex-json'))
const lexicons = await load(join(home, 'dist', 'lexicons', 'index.js'))

const schemas = walk(lexicons).filter((each) => each instanceof RecordSchema)
const known = new Map(schemas.map((each) => [each.$type, each]))

function judge({ rkey, record }) {
  const schema = known.get(record.$type)
  if (!schema) return null
  const key = schema.keySchema.safeValidate(rkey)
  if (!key.success) return key.reason.message
  const result = schema.safeValidate(jsonToLex(record))
  return result.success ? '' : result.reason.message
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(judge(JSON.parse(line))) + '\n')
}
