// POST /rig: run SQL where the PDS runs it. From another process it would meet a database in use.
import type { APIContext } from 'astro'

export const prerender = false

export async function POST({ locals, request }: APIContext) {
  const sql: string[] = await request.json()
  const database = locals.runtime.env.ALTERAN_DB
  const found = await database.batch(sql.map((each) => database.prepare(each)))
  return Response.json(found.map((each) => each.results))
}
