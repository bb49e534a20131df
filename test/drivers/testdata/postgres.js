// Uses node-postgres through Forebay. The argument is the folder of the modules; the connection is in the environment.
const assert = require('node:assert')
delete process.env.PGSSLMODE // this driver has no "prefer": it takes the word for a demand
const { Pool, Client } = require(process.argv[2] + '/pg')

async function main () {
  const pool = new Pool({ max: 8 })
  await pool.query('CREATE TABLE node_item (id int PRIMARY KEY, name text, data jsonb, at timestamptz DEFAULT now())')

  // Unnamed and named prepared statements, from more clients than there are server connections.
  await Promise.all(Array.from({ length: 200 }, async (_, i) => {
    await pool.query('INSERT INTO node_item (id, name, data) VALUES ($1, $2, $3)', [i, 'n' + i, { i }])
    const r = await pool.query({ name: 'by-id', text: 'SELECT name, data FROM node_item WHERE id = $1', values: [i] })
    assert.strictEqual(r.rows[0].name, 'n' + i)
    assert.deepStrictEqual(r.rows[0].data, { i })
  }))

  // Several statements in one query string.
  const many = await pool.query('SELECT 1 AS a; SELECT 2 AS b')
  assert.strictEqual(many[1].rows[0].b, 2)

  // Transactions, one of them rolled back after an error.
  const c = await pool.connect()
  await c.query('BEGIN')
  await c.query('UPDATE node_item SET name = $1', ['lost'])
  await assert.rejects(c.query('SELECT 1/0'), { code: '22012' })
  await assert.rejects(c.query('SELECT 1'), { code: '25P02' })
  await c.query('ROLLBACK')
  c.release()
  assert.strictEqual((await pool.query("SELECT count(*)::int AS n FROM node_item WHERE name = 'lost'")).rows[0].n, 0)

  // Settings belong to their client.
  const clients = await Promise.all(Array.from({ length: 6 }, async (_, i) => {
    const client = new Client({ application_name: 'node-' + i })
    await client.connect()
    await client.query(`SET statement_timeout = ${1000001 + i}`)
    return client
  }))
  for (let round = 0; round < 5; round++) {
    await Promise.all(clients.map(async (client, i) => {
      const r = await client.query("SELECT current_setting('application_name') AS a, current_setting('statement_timeout') AS s")
      assert.deepStrictEqual(r.rows[0], { a: 'node-' + i, s: 1000001 + i + 'ms' })
    }))
  }

  // LISTEN keeps its server connection, the notification comes through.
  const heard = new Promise(resolve => clients[0].on('notification', resolve))
  await clients[0].query('LISTEN node_channel')
  await clients[1].query("SELECT pg_notify('node_channel', 'hello')")
  assert.strictEqual((await heard).payload, 'hello')

  // An error of the extended protocol leaves the client usable.
  await assert.rejects(clients[2].query('SELECT $1::int', ['x']), { code: '22P02' })
  assert.strictEqual((await clients[2].query('SELECT $1::int AS n', [7])).rows[0].n, 7)

  // TLS.
  const secure = new Client({ ssl: { rejectUnauthorized: false } })
  await secure.connect()
  assert.strictEqual((await secure.query('SELECT $1::text AS t', ['x'.repeat(300000)])).rows[0].t.length, 300000)
  await secure.end()

  await Promise.all(clients.map(client => client.end()))
  await pool.end()
  console.log('ok')
}

main().catch(err => { console.error(err); process.exit(1) })
