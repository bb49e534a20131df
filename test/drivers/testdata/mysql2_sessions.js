// Uses mysql2 as two users who log in in different ways, and prints all that it is answered, status flags and session changes
// included: the same through Forebay as directly. The arguments are the folder of the modules and the other user; the
// connection is in the environment.
const crypto = require('node:crypto')
const { Readable } = require('node:stream')
const mysql = require(process.argv[2] + '/mysql2/promise')

const { DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASSWORD } = process.env
const OTHER_USER = process.argv[3]

// The ways to log in: the users differ in their plugins at Forebay.
const ways = [
  { user: DB_USER, ssl: { rejectUnauthorized: false } },
  { user: DB_USER },
  { user: OTHER_USER, ssl: { rejectUnauthorized: false } },
  { user: OTHER_USER }
]

const connect = (way, more = {}) => mysql.createConnection({
  host: DB_HOST,
  port: DB_PORT,
  password: DB_PASSWORD,
  database: DB_NAME,
  multipleStatements: true,
  rowsAsArray: true,
  dateStrings: true,
  supportBigNumbers: true,
  bigNumberStrings: true,
  infileStreamFactory: () => Readable.from(['1,one\n2,two\n', '3,th', 'ree\n4,four\n'].map(s => Buffer.from(s))),
  ...way,
  ...more
})

// text writes an answer as it came: rows with their columns, counts, status flags, session changes.
const text = x => JSON.stringify(x, (k, v) => typeof v === 'bigint' ? String(v)
  : k === 'systemVariables' ? Object.entries(v).sort() // the server tells them in no order
  : typeof v === 'string' && v.length > 300 ? `${v.length} characters, ${crypto.createHash('md5').update(v).digest('hex')}` : v)
const columns = fields => fields && [].concat(fields).map(f => f && (Array.isArray(f) ? columns(f)
  : `${f.schema}.${f.table}.${f.name} ${f.columnType}/${f.flags}/${f.columnLength}/${f.characterSet}/${f.decimals}`))

// Client is one connection that tells all that it is answered: at once, or into an array of lines.
class Client {
  constructor (conn, name, lines) { this.conn = conn; this.name = name; this.lines = lines }
  say (...words) {
    const line = [this.name + ':', ...words].join(' ')
    if (this.lines) this.lines.push(line)
    else console.log(line)
  }

  async note (what, answer) {
    try {
      const [result, fields] = await answer
      this.say(what.slice(0, 200), '=>', text(result), text(columns(fields)))
    } catch (e) {
      this.say(what.slice(0, 200), '=>', e.code, e.errno, e.sqlState, e.sqlMessage || e.message)
    }
  }
  query (sql, values) { return this.note(sql, this.conn.query(sql, values)) }
  execute (sql, values) { return this.note('execute ' + sql, this.conn.execute(sql, values)) }
}

// together is what every one of many clients does at the same time, with a table of its own.
async function together (i) {
  const c = new Client(await connect(ways[i % ways.length]), 'together ' + i, [])
  const table = `together${i}`
  await c.query(`CREATE TABLE ${table} (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(100), n INT)`)
  await c.query(`SET time_zone = '+0${i}:00', @mine = 'mine ${i}', sql_mode = '${i % 2 ? 'ANSI_QUOTES' : ''}'`)
  await c.query(`SET NAMES ${i % 3 ? 'utf8mb4' : 'latin1'}`)
  for (let round = 0; round < 8; round++) {
    await c.query('SELECT @@time_zone, @mine, @@sql_mode, @@character_set_results, DATABASE(), USER()')
    await c.execute(`INSERT INTO ${table} (v, n) VALUES (?, ?)`, ['round ' + round, round])
    await c.query('SELECT LAST_INSERT_ID()')
    await c.execute('SELECT ? AS a, ? AS b', [i, 'text ' + round])
    await c.query('BEGIN')
    await c.query(`UPDATE ${table} SET n = n + 1`)
    await c.execute(`SELECT SUM(n) FROM ${table}`)
    await c.query(round % 2 ? 'COMMIT' : 'ROLLBACK')
    await c.query(`SELECT SUM(n), COUNT(*) FROM ${table}`)
    await c.query('SELECT broken')
    if (i % 2 && round === 4) { // only its server connection has this
      await c.query('CREATE TEMPORARY TABLE kept (v INT)')
      await c.query('INSERT INTO kept VALUES (1), (2)')
      await c.query('SELECT * FROM kept')
      await c.query('SELECT @expression := 1 + 1')
    }
    if (i % 2 && round === 6) {
      await c.query('SELECT v, @expression FROM kept')
      await c.query('DROP TEMPORARY TABLE kept')
    }
  }
  await c.conn.end()
  return c.lines
}

// alone is what one client does with nobody beside it.
async function alone (i) {
  const way = ways[i]
  const c = new Client(await connect(way), 'alone ' + i)
  await c.query('SELECT USER(), CURRENT_USER(), DATABASE(), @@character_set_client, @@collation_connection')
  await c.query('DROP TABLE IF EXISTS t')
  await c.query('CREATE TABLE t (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, a INT, b VARCHAR(50), c DECIMAL(10, 3), d DATETIME(6),' +
    ' e BLOB, f DOUBLE, g TIME, h ENUM(\'x\', \'y\'), i BIT(9), j TINYINT UNIQUE, k TEXT CHARACTER SET latin1)')
  const insert = 'INSERT INTO t (a, b, c, d, e, f, g, h, i, j, k) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'
  const row = j => [j, 'é' + j, '12.5', '2026-01-02 03:04:05.678901', Buffer.from([0, 1, 255]), 1.25, '-10:11:12', 'y', 5, j, 'ü']
  await c.query(insert, row(1))
  await c.execute(insert, row(2))
  await c.execute(insert, row(3).map((v, i) => i === 9 ? v : null))
  await c.execute(insert, row(2))
  await c.query('INSERT INTO t (j) VALUES (10), (11), (12)')
  await c.query('SELECT LAST_INSERT_ID(), ROW_COUNT()')
  await c.query('SELECT * FROM t')
  await c.execute('SELECT * FROM t')
  await c.query('UPDATE t SET a = 7 WHERE j < 3')
  await c.query('SELECT')
  await c.query('SELECT * FROM missing')
  await c.execute('SELECT * FROM missing')
  await c.query('USE missing_database')

  // One statement, parameters of several types.
  const st = await c.conn.prepare('SELECT ?, ? + 1')
  for (const values of [[1, 2], ['text', '3'], [null, null], [Buffer.from('bytes'), 1.5], [true, 9007199254740993n], ['x'.repeat(100000), 4]]) {
    await c.note('prepared', st.execute(values))
  }
  await st.close()

  // Transactions.
  await c.conn.beginTransaction()
  await c.query('INSERT INTO t (j) VALUES (20)')
  await c.query('SAVEPOINT s')
  await c.query('INSERT INTO t (j) VALUES (21)')
  await c.query('ROLLBACK TO s')
  await c.conn.commit()
  await c.conn.beginTransaction()
  await c.query('DELETE FROM t')
  await c.conn.rollback()
  await c.query('SET autocommit = 0')
  await c.query('DELETE FROM t WHERE j = 20')
  await c.query('ROLLBACK')
  await c.query('SET autocommit = 1')
  await c.query('SELECT COUNT(*), @@autocommit FROM t')
  await c.query('START TRANSACTION READ ONLY')
  await c.query('DELETE FROM t')
  await c.query('COMMIT')

  // Several statements, several results.
  await c.query('SELECT 1; INSERT INTO t (j) VALUES (30); SELECT LAST_INSERT_ID() > 0, ROW_COUNT(); DELETE FROM t WHERE j = 30')
  await c.query('SELECT 1; SELECT broken; SELECT 3')
  await c.query('DROP PROCEDURE IF EXISTS p')
  await c.query('CREATE PROCEDURE p(IN n INT, OUT o INT) BEGIN SELECT n, \'first\'; SELECT n + 1; SET o = n + 2; END')
  await c.query('CALL p(1, @out)')
  await c.query('SELECT @out')
  await c.execute('CALL p(?, @out)', [5])
  await c.query('SELECT @out; CALL p(7, @out); SELECT @out')

  // A file.
  await c.query('CREATE TEMPORARY TABLE f (a INT, b VARCHAR(3))')
  await c.query("LOAD DATA LOCAL INFILE 'any' INTO TABLE f FIELDS TERMINATED BY ','")
  await c.query('SHOW WARNINGS')
  await c.query('SELECT * FROM f')
  await c.query("LOAD DATA LOCAL INFILE 'any' INTO TABLE missing")
  await c.query('DROP TEMPORARY TABLE f')

  // Settings, user variables, warnings.
  await c.query("SET NAMES latin1; SELECT 'é', @@character_set_client")
  await c.query('SET NAMES utf8mb4 COLLATE utf8mb4_bin')
  await c.query('SELECT @@collation_connection')
  await c.query("SET @a = 'é', @b = 5, @c = NULL; SELECT @a, @b, @c, @d")
  await c.query("SET SESSION sql_mode = ''")
  await c.query('INSERT INTO t (j) VALUES (1000)')
  await c.query('SHOW WARNINGS')
  await c.query('SELECT 1/0, CAST("x" AS SIGNED)')
  await c.query('SHOW WARNINGS')
  await c.execute('UPDATE t SET b = REPEAT(?, 100) WHERE j = 1', ['long'])
  await c.query('SHOW WARNINGS')
  await c.query('SHOW ERRORS')
  await c.query('USE information_schema')
  await c.query('SELECT DATABASE()')
  await c.query(`USE ${DB_NAME}`)

  // A new session on the same connection, and another user's.
  await c.query('CREATE TEMPORARY TABLE gone (v INT)')
  await c.query("SET @a = 1, time_zone = '+05:00'")
  await c.conn.reset()
  await c.query('SELECT @a, @@time_zone, DATABASE(), @@character_set_client')
  await c.query('SELECT * FROM gone')
  await c.execute('SELECT ? + 1', [1])
  const other = way.user === DB_USER ? OTHER_USER : DB_USER
  await c.query("SET @a = 1, time_zone = '+05:00'")
  await c.note('change user', c.conn.changeUser({ user: other, password: DB_PASSWORD, database: DB_NAME }).then(() => []))
  await c.query('SELECT CURRENT_USER(), @a IS NULL, @@time_zone, DATABASE(), @@character_set_client')
  await c.execute('SELECT ? + 1', [1])
  await c.note('back', c.conn.changeUser({ user: way.user, password: DB_PASSWORD, database: DB_NAME }).then(() => []))
  await c.query('SELECT CURRENT_USER()')
  await c.note('wrong password', c.conn.changeUser({ user: other, password: 'wrong', database: DB_NAME }).then(() => []))
  await c.conn.end().catch(() => {})
}

// large are packets above 16 MiB, which are several packets.
async function large () {
  const c = new Client(await connect(ways[0]), 'large')
  const long = 'abcdefghij'.repeat(1700000)
  await c.query("SELECT REPEAT('x', 20000000)")
  await c.query('CREATE TABLE large (v LONGTEXT)')
  await c.query('INSERT INTO large VALUES (?)', [long])
  await c.execute('INSERT INTO large VALUES (?)', [long])
  await c.execute('SELECT LENGTH(v), MD5(v), v FROM large')
  await c.query(`SELECT 1 /* ${long} */`)
  await c.query('SELECT 2')
  await c.conn.end()
}

// killed is a statement that another connection ends, by the id that the greeting had.
async function killed () {
  const c = new Client(await connect(ways[0]), 'killed')
  const killer = await connect(ways[1])
  const id = c.conn.threadId
  const [[[own]]] = await c.conn.query('SELECT CONNECTION_ID()')
  c.say('the id is that of the greeting:', Number(own) === id)
  const running = c.query('SELECT SLEEP(100)')
  for (;;) { // not before it runs
    const [[[n]]] = await killer.query("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(100)%' AND state = 'User sleep'")
    if (n > 0) break
  }
  await killer.query('KILL QUERY ' + id)
  await running
  await c.query('SELECT 1')
  await killer.query('KILL ' + id)
  await c.conn.query('SELECT 1').then(() => c.conn.query('SELECT 1')).catch(() => c.say('gone'))
  await killer.end()
}

// streamed reads rows while they come.
async function streamed () {
  const c = new Client(await connect(ways[3]), 'streamed')
  await c.query('CREATE TABLE numbers (n INT)')
  await c.query('INSERT INTO numbers VALUES ' + Array.from({ length: 5000 }, (_, i) => `(${i})`).join(','))
  let rows = 0; let sum = 0
  for await (const [n] of c.conn.connection.query('SELECT n FROM numbers').stream()) { rows++; sum += n }
  c.say(rows, 'rows', sum)
  await c.query('SELECT COUNT(*) FROM numbers')
  await c.conn.end()
}

// pooled uses mysql2's own pool, which resets connections when it is told to.
async function pooled () {
  const pool = mysql.createPool({ host: DB_HOST, port: DB_PORT, user: DB_USER, password: DB_PASSWORD, database: DB_NAME, connectionLimit: 8 })
  await pool.query('CREATE TABLE pooled (id INT AUTO_INCREMENT PRIMARY KEY, v INT)')
  await Promise.all(Array.from({ length: 100 }, async (_, i) => {
    const [r] = await pool.execute('INSERT INTO pooled (v) VALUES (?)', [i])
    const [[row]] = await pool.execute('SELECT v FROM pooled WHERE id = ?', [r.insertId])
    if (row.v !== i) throw new Error(`${row.v} instead of ${i}`)
  }))
  const [rows] = await pool.query('SELECT COUNT(*) AS n, SUM(v) AS s FROM pooled')
  await pool.end()
  console.log('pooled:', text(rows))
}

async function main () {
  for (const i in ways) await alone(i)
  const all = await Promise.all(Array.from({ length: 8 }, (_, i) => together(i)))
  all.flat().forEach(line => console.log(line))
  await large()
  await killed()
  await streamed()
  await pooled()
  await connect({ user: DB_USER, password: 'wrong' }).catch(e => console.log(e.code, e.errno, e.sqlState))
  await connect(ways[1], { database: 'missing' }).catch(e => console.log(e.code, e.errno, e.sqlState, e.sqlMessage))
  console.log('ok')
}

main().catch(err => { console.error(err); process.exit(1) })
