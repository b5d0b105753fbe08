/**
 * Run a mock PLC directory and the reference PDS in one process, until stdin closes.
 *
 * Prints one line of JSON, `{"pds": url, "plc": url}`, once both answer; nothing else ever goes to stdout.
 * Settings come from the environment: REFERENCE_HOME (the directory that holds node_modules), PLC_PORT,
 * and whatever PDS_* the PDS itself reads.
 */

import crypto from 'node:crypto'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const { REFERENCE_HOME, PLC_PORT, PDS_DATA_DIRECTORY } = process.env
const { resolve } = createRequire(join(REFERENCE_HOME, 'package.json'))
const load = (name) => import(pathToFileURL(resolve(name)))

/**
 * A hash of a password is made to cost what a dozen writes do, and each test makes an account and logs in: here it
 * costs next to nothing. All else of the server is as it came.
 */
function hashPasswordsCheaply() {
  const { scrypt } = crypto
  crypto.scrypt = (password, salt, length, done) => scrypt(password, salt, length, { cost: 2 }, done)
}

/** The mock directory forgets everything when it stops; this one replays what it accepted before. */
async function makeDirectory({ Database }, journal) {
  const db = Database.mock()
  const accept = db.validateAndAddOp.bind(db)
  const lines = existsSync(journal) ? readFileSync(journal, 'utf8').split('\n').filter(Boolean) : []
  for (const { did, operation } of lines.map(JSON.parse)) await accept(did, operation)
  db.validateAndAddOp = async (did, operation) => {
    await accept(did, operation)
    appendFileSync(journal, JSON.stringify({ did, operation }) + '\n')
  }
  return db
}

async function startPlc() {
  const { default: plc } = await load('@did-plc/server')
  const db = await makeDirectory(plc, join(PDS_DATA_DIRECTORY, 'plc.jsonl'))
  const server = await plc.PlcServer.create({ db, port: Number(PLC_PORT) }).start()
  return `http://localhost:${server.address().port}`
}

async function startPds(plcUrl) {
  process.env.PDS_DID_PLC_URL = plcUrl
  const { PDS, envToCfg, envToSecrets, readEnv } = await load('@atproto/pds')
  // Older versions take their settings apart.
  const old = async () => { const env = readEnv(); return PDS.create(envToCfg(env), envToSecrets(env)) }
  const pds = await (PDS.fromEnv ? PDS.fromEnv() : old())
  await pds.start()
  return pds.ctx.cfg.service.publicUrl
}

async function main() {
  hashPasswordsCheaply()
  const plc = await startPlc()
  const pds = await startPds(plc)
  process.stdout.write(JSON.stringify({ pds, plc }) + '\n')
}

/** Leave without exit hooks: those of the loggers throw while their file is not open yet. */
function leave() {
  process.kill(process.pid, 'SIGKILL')
}

function fail(error) {
  process.stderr.write(`${error.stack}\n\n${error.message}\n`, leave)
}

console.log = console.info = console.error
process.stdin.resume().on('close', leave)
await main().catch(fail)
