// The scenario of scenario.py by @atcute/client: `node atcute.mjs URL DID PASSWORD`.
import { Client, ok, simpleFetchHandler } from '@atcute/client'

const [service, did, password] = process.argv.slice(2)
const COLLECTION = 'com.example.note'
const rpc = new Client({ handler: simpleFetchHandler({ service }) })
const login = { input: { identifier: did, password } }
const session = await ok(rpc.post('com.atproto.server.createSession', login))
const headers = { authorization: `Bearer ${session.accessJwt}` }
const get = (nsid, params = {}, as = 'json') => ok(rpc.get(`com.atproto.${nsid}`, { params, as, headers }))
const post = (nsid, input, more = {}) =>
  ok(rpc.post(`com.atproto.${nsid}`, { input, headers: { ...headers, ...more } }))
const bytes = new TextEncoder().encode('hello from afar')
const { blob } = await post('repo.uploadBlob', bytes, { 'content-type': 'text/plain' })
const place = { repo: did, collection: COLLECTION }
const record = { $type: COLLECTION, text: 'one', blob }
const made = await post('repo.createRecord', { ...place, rkey: 'one', record })
await post('repo.putRecord', { ...place, rkey: 'two', record: { $type: COLLECTION, text: 'two' } })
await post('repo.deleteRecord', { ...place, rkey: 'two' })
const shown = await get('repo.getRecord', { ...place, rkey: 'one' })
const listed = (await get('repo.listRecords', place)).records
const blobs = (await get('sync.listBlobs', { did })).cids
const found = {
  blob: blob.ref.$link,
  'is the record': shown.cid === made.cid,
  text: shown.value.text,
  records: listed.map((each) => each.uri.split('/').at(-1)),
  blobs,
  bytes: new TextDecoder().decode(await get('sync.getBlob', { did, cid: blobs[0] }, 'bytes')),
  missing: (await get('repo.listMissingBlobs')).blobs.length,
  repos: (await get('sync.listRepos')).repos.map((each) => each.did),
  head: (await get('sync.getHead', { did })).root === (await get('sync.getLatestCommit', { did })).cid,
  'is active': (await get('server.checkAccountStatus')).activated,
  'app passwords': (await get('server.listAppPasswords')).passwords.map((each) => each.name),
  token: (await get('server.getServiceAuth', { aud: 'did:web:example.com' })).token.split('.').length,
}
console.log(JSON.stringify(found))
