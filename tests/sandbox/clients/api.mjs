// The scenario of scenario.py by @atproto/api: `node api.mjs URL DID PASSWORD`.
import { AtpAgent } from '@atproto/api'

const [url, did, password] = process.argv.slice(2)
const COLLECTION = 'com.example.note'
const agent = new AtpAgent({ service: url })
await agent.login({ identifier: did, password })
const { repo, sync, server } = agent.com.atproto
const bytes = new TextEncoder().encode('hello from afar')
const { blob } = (await repo.uploadBlob(bytes, { encoding: 'text/plain' })).data
const place = { repo: did, collection: COLLECTION }
const record = { $type: COLLECTION, text: 'one', blob }
const made = (await repo.createRecord({ ...place, rkey: 'one', record })).data
await repo.putRecord({ ...place, rkey: 'two', record: { $type: COLLECTION, text: 'two' } })
await repo.deleteRecord({ ...place, rkey: 'two' })
const shown = (await repo.getRecord({ ...place, rkey: 'one' })).data
const listed = (await repo.listRecords(place)).data.records
const blobs = (await sync.listBlobs({ did })).data.cids
const got = (await sync.getBlob({ did, cid: blobs[0] })).data
const found = {
  blob: blob.ref.toString(),
  'is the record': shown.cid === made.cid,
  text: shown.value.text,
  records: listed.map((each) => each.uri.split('/').at(-1)),
  blobs,
  bytes: typeof got === 'string' ? got : new TextDecoder().decode(got),
  missing: (await repo.listMissingBlobs()).data.blobs.length,
  repos: (await sync.listRepos()).data.repos.map((each) => each.did),
  head: (await sync.getHead({ did })).data.root === (await sync.getLatestCommit({ did })).data.cid,
  'is active': (await server.checkAccountStatus()).data.activated,
  'app passwords': (await server.listAppPasswords()).data.passwords.map((each) => each.name),
  token: (await server.getServiceAuth({ aud: 'did:web:example.com' })).data.token.split('.').length,
}
console.log(JSON.stringify(found))
