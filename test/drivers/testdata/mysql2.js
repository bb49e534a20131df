// Uses mysql2, and prints what it sees: the same through Forebay as directly. The argument is the folder of the modules,
// the connection is in the environment.
const mysql = require(process.argv[2] + '/mysql2/promise')
const { createHash } = require('node:crypto')
const { Readable } = require('node:stream')
const { inspect } = require('node:util')
const env = process.env

const connect = more => mysql.createConnection({
  host: env.DB_HOST, port: +env.DB_PORT, user: env.DB_USER, password: env.DB_PASSWORD, database: env.DB_NAME, ...more
})

const show = (what, ...values) => console.log(what + ':', ...values.map(v => inspect(v, { depth: 6, breakLength: 140, maxArrayLength: 20, maxStringLength: 300 })))
const fields = list => list && list.map(f => Array.isArray(f) ? fields(f) : f && [f.name, f.columnType, f.flags, f.characterSet, f.columnLength, f.table])
const failure = e => [e.code, e.errno, e.sqlState, e.sqlMessage]

// run prints all that a statement leaves, with a text or a prepared statement.
async function run (c, how, sql, values) {
  try {
    const [rows, columns] = await c[how](sql, values)
    for (const r of [rows].flat()) { // the server tells of variables in no order
      if (r.stateChanges) r.stateChanges.systemVariables = Object.fromEntries(Object.entries(r.stateChanges.systemVariables).sort())
    }
    show(how + ' ' + sql.slice(0, 60), rows, fields(columns))
  } catch (e) {
    show(how + ' ' + sql.slice(0, 60), failure(e))
  }
}
const both = async (c, sql, values) => { await run(c, 'query', sql, values); await run(c, 'execute', sql, values) }

// The driver warns of the server's own numbers of packets, which mean nothing where they are compressed.
const log = console.error
console.error = (...v) => /packets out of order/.test(v[0]) || log(...v)

async function main () {
  const c = await connect({
    multipleStatements: true, supportBigNumbers: true, bigNumberStrings: true, dateStrings: true, namedPlaceholders: false,
    infileStreamFactory: path => path === 'rows' ? Readable.from((function * () { for (let i = 0; i < 5000; i++) yield Buffer.from(`${10000 + i}\tloaded${i}\n`) })()) : Readable.from([Buffer.from('1\t'), Buffer.from('b\n')])
  })
  await c.query('DROP TABLE IF EXISTS js_item; DROP PROCEDURE IF EXISTS js_two')
  await run(c, 'query', `CREATE TABLE js_item (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100) UNIQUE, n BIGINT UNSIGNED, d DECIMAL(20, 5),
    f DOUBLE, at DATETIME(6), day DATE, took TIME(3), b LONGBLOB, j JSON, small TINYINT NOT NULL DEFAULT 7) CHARACTER SET utf8mb4`)

  // Values of several types, and NULL.
  const insert = 'INSERT INTO js_item (name, n, d, f, at, day, took, b, j) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)'
  const row = ['it\'s "ü€😀\\\n', '18446744073709551615', '-12345678.12345', 1.5e300, '2024-02-29 23:59:59.123456', '1999-12-31', '-30:00:05.250', Buffer.from(Array.from({ length: 256 }, (_, i) => i)), '{"a":[1,null]}']
  await run(c, 'execute', insert, row)
  await run(c, 'query', insert, ['text', ...row.slice(1)])
  await run(c, 'execute', insert, ['nulls', null, null, null, null, null, null, null, null])
  await both(c, 'SELECT * FROM js_item WHERE id > ? ORDER BY id', [0])
  await both(c, 'SELECT ? AS a, ? AS b, ? AS c, ? AS d', [1, 'x', null, 1.25])
  for (let i = 0; i < 5; i++) await run(c, 'execute', 'SELECT name FROM js_item WHERE id = ?', [i])
  await both(c, 'INSERT INTO js_item (name) VALUES (CONCAT(?, UUID()))', ['u'])
  await both(c, 'UPDATE js_item SET n = ? WHERE n IS NULL', [5])
  await both(c, 'UPDATE js_item SET n = ? WHERE n = 5', [5])
  await both(c, 'SELECT LAST_INSERT_ID(), ROW_COUNT()')
  await both(c, 'DELETE FROM js_item WHERE name LIKE ?', ['u%'])
  await both(c, "INSERT INTO js_item (name) VALUES ('dup') ON DUPLICATE KEY UPDATE n = n + 1")

  // Warnings and errors.
  await both(c, "SELECT CAST('12abc' AS SIGNED)")
  await run(c, 'query', 'SHOW WARNINGS')
  await both(c, "INSERT IGNORE INTO js_item (name, small) VALUES ('clipped', 1000)")
  await run(c, 'query', 'SHOW WARNINGS')
  for (const sql of ['SELEC 1', 'SELECT * FROM js_nothing', "INSERT INTO js_item (name) VALUES ('dup')", "SIGNAL SQLSTATE '45123' SET MYSQL_ERRNO = 31000, MESSAGE_TEXT = 'mine'",
    "INSERT INTO js_item (name) VALUES (REPEAT('x', 101))", 'SELECT 1 FROM mysql.user']) await both(c, sql)
  await run(c, 'query', 'SHOW ERRORS')
  await run(c, 'execute', 'SELECT ?, ?', [1]) // too few values: the driver leaves the rest out
  await run(c, 'query', 'SELECT 1')

  // Transactions.
  await c.beginTransaction()
  await c.execute('INSERT INTO js_item (name) VALUES (?)', ['kept'])
  await c.commit()
  await c.beginTransaction()
  await c.execute('INSERT INTO js_item (name) VALUES (?)', ['lost'])
  await run(c, 'execute', 'SELECT @@in_transaction, COUNT(*) FROM js_item WHERE name = ?', ['lost'])
  await run(c, 'query', 'SELECT * FROM js_nothing')
  await run(c, 'execute', 'SELECT @@in_transaction')
  await c.rollback()
  await both(c, "SELECT @@in_transaction, name FROM js_item WHERE name IN ('kept', 'lost')")

  // Several results.
  await run(c, 'query', "SELECT 1 AS a; SELECT 2 AS b, 'x' AS c; UPDATE js_item SET n = 9 WHERE id = 1; SELECT n FROM js_item WHERE id = 1; SET @a = 3")
  await run(c, 'query', 'SELECT 1 AS a; SELECT * FROM js_nothing; SELECT 3')
  await run(c, 'query', 'CREATE PROCEDURE js_two (IN a INT) BEGIN SELECT a; SELECT a + 1, NULL AS x; END')
  await both(c, 'CALL js_two(?)', [5])

  // State that lasts.
  await run(c, 'query', 'SET NAMES latin1')
  await run(c, 'query', "SET @mine = 'ab', @n = 5, time_zone = '+05:30', sql_mode = 'ANSI_QUOTES'")
  await run(c, 'execute', 'SET @v = ?, @w = ?', ['set', null])
  await both(c, 'SELECT @@character_set_client, @mine, @n, @v, @w, @@time_zone, @@sql_mode, FROM_UNIXTIME(0)')
  await run(c, 'query', "SET NAMES utf8mb4, sql_mode = DEFAULT")
  await run(c, 'query', 'USE information_schema')
  await both(c, 'SELECT DATABASE()')
  await run(c, 'query', 'USE ' + env.DB_NAME)
  await c.ping()
  await run(c, 'execute', 'SELECT name FROM js_item WHERE id = ?', [1]) // prepared under the other settings

  // Prepared statements of the program's own, and their end.
  const s = await c.prepare('SELECT ? + 1 AS n, ? AS t')
  for (let i = 0; i < 3; i++) show('prepared', (await s.execute([i, i === 1 ? null : 't' + i]))[0])
  await s.close()
  c.unprepare('SELECT name FROM js_item WHERE id = ?')
  await run(c, 'execute', 'SELECT name FROM js_item WHERE id = ?', [1])
  try { await c.prepare('SELEC ?') } catch (e) { show('prepare', failure(e)) }

  // Files of the client's.
  await run(c, 'query', "LOAD DATA LOCAL INFILE 'rows' INTO TABLE js_item (id, name)")
  await run(c, 'query', "SELECT COUNT(*), MAX(id) FROM js_item WHERE name LIKE 'loaded%'")
  await run(c, 'query', "LOAD DATA LOCAL INFILE 'other' INTO TABLE js_nothing")
  await run(c, 'query', 'SELECT 1')

  // Rows as a stream.
  let sum = 0
  for await (const r of c.connection.query('SELECT id FROM js_item ORDER BY id').stream()) sum += r.id
  show('stream', sum)

  // Many commands without waiting for their answers.
  const queue = await Promise.all(Array.from({ length: 100 }, (_, i) => i % 2 ? c.query('SELECT ? AS n', [i]) : c.execute('SELECT ? AS n', [i])))
  show('queued', queue.every(([r], i) => +r[0].n === i))
  await c.end()

  // A large value in both directions, with a text and a prepared statement, with and without compression.
  const big = Buffer.alloc(17 << 20, 'abcdefghijklmnopqrstuvwxyz0123456789-')
  const md5 = b => createHash('md5').update(b).digest('hex')
  for (const compress of [false, true]) {
    const c = await connect({ compress })
    for (const how of ['query', 'execute']) {
      await c.query("DELETE FROM js_item WHERE name = 'large'")
      const [r] = await c[how]("INSERT INTO js_item (name, b) VALUES ('large', ?)", [big])
      const [[got]] = await c[how]("SELECT b, 'behind' AS behind FROM js_item WHERE name = 'large'")
      show('large', compress, how, r.affectedRows, got.b.length, md5(got.b) === md5(big), got.behind)
      await run(c, how, 'SELECT 1')
    }
    await c.end()
  }

  // TLS, and what is refused.
  const secure = await connect({ ssl: { rejectUnauthorized: false } })
  show('tls', secure.connection.stream.encrypted, (await secure.execute('SELECT ? AS t', ['x'.repeat(70000)]))[0][0].t.length)
  await secure.end()
  for (const more of [{ password: 'wrong' }, { user: 'nobody' }, { database: 'not_there' }]) {
    try {
      await connect(more)
      show('log-in', more, 'no error')
    } catch (e) { show('log-in', more, failure(e)) }
  }

  // Many connections, each with a state of its own.
  const pool = mysql.createPool({ host: env.DB_HOST, port: +env.DB_PORT, user: env.DB_USER, password: env.DB_PASSWORD, database: env.DB_NAME, connectionLimit: 20 })
  const all = await Promise.all(Array.from({ length: 20 }, () => pool.getConnection()))
  const wrong = []
  await Promise.all(all.map(async (c, i) => {
    await c.query('SET @mine = ?, time_zone = ?', ['m' + i, `+${String(i % 12).padStart(2, '0')}:00`])
    for (let n = 0; n < 15; n++) {
      const [[got]] = await c.execute('SELECT @mine AS mine, @@time_zone AS zone, ? + 0 AS n', [n])
      if (got.mine !== 'm' + i || got.zone !== `+${String(i % 12).padStart(2, '0')}:00` || +got.n !== n) wrong.push([i, n, got])
      const [r] = await c.execute('INSERT INTO js_item (name) VALUES (?)', [`w${i}-${n}`])
      const [[last]] = await c.query('SELECT LAST_INSERT_ID() AS id')
      if (last.id !== r.insertId) wrong.push([i, n, last, r.insertId])
      await c.beginTransaction()
      await c.execute('UPDATE js_item SET n = ? WHERE id = ?', [n, r.insertId])
      await c[n % 2 ? 'commit' : 'rollback']()
      const [[row]] = await c.execute('SELECT n FROM js_item WHERE id = ?', [r.insertId])
      if (row.n !== (n % 2 ? n : null)) wrong.push([i, n, row])
    }
  }))
  show('concurrent', wrong)
  all.forEach(c => c.release())
  show('pool', (await Promise.all(Array.from({ length: 200 }, (_, i) => pool.execute('SELECT ? AS n', [i])))).every(([r], i) => +r[0].n === i))
  show('rows', (await pool.query("SELECT COUNT(*) AS n FROM js_item WHERE name LIKE 'w%'"))[0])
  await pool.end()
  console.log('ok')
}

main().catch(err => { console.error(err); process.exit(1) })
