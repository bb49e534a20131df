// Does with tedious what applications do with it: node tedious.js MODULES HOST PORT USER DATABASE CA ENCRYPT VERSION. The
// password is in TDS_PASSWORD. Prints ok at the end.
'use strict';
const assert = require('assert');
const fs = require('fs');
const path = require('path');
const [modules, host, port, user, database, ca, encrypt, version] = process.argv.slice(2);
const { Connection, Request, TYPES, ISOLATION_LEVEL } = require(path.join(modules, 'tedious'));

function connect() {
  return new Promise((resolve, reject) => {
    const c = new Connection({
      server: host,
      authentication: { type: 'default', options: { userName: user, password: process.env.TDS_PASSWORD } },
      options: {
        port: Number(port), database, encrypt: encrypt === 'strict' ? 'strict' : encrypt === 'true', serverName: 'localhost',
        cryptoCredentialsDetails: { ca: fs.readFileSync(ca) }, rowCollectionOnRequestCompletion: false, connectTimeout: 20000,
        requestTimeout: 0, ...(version ? { tdsVersion: version } : {}), useUTC: true, packetSize: 4096,
      },
    });
    c.connect((err) => (err ? reject(err) : resolve(c)));
    c.on('error', () => {});
  });
}

function run(c, text, how = 'execSql', params = [], outs = []) {
  return new Promise((resolve, reject) => {
    const rows = [];
    const out = {};
    const r = new Request(text, (err, n) => (err ? reject(err) : resolve({ rows, n, out })));
    for (const [n, t, v, o] of params) r.addParameter(n, t, v, o);
    for (const [n, t, v, o] of outs) r.addOutputParameter(n, t, v, o);
    r.on('row', (cols) => rows.push(cols.map((x) => x.value)));
    r.on('returnValue', (n, v) => { out[n] = v; });
    c[how](r);
  });
}

const call = (c, name, ...args) => new Promise((resolve, reject) => c[name]((err) => (err ? reject(err) : resolve()), ...args));

async function fails(number, p) {
  let err;
  await p.catch((e) => { err = e; });
  assert(err, `no error; want ${number}`);
  assert.strictEqual(err.number, number, err.message);
}

async function main() {
  const c = await connect();
  const modern = !version || version >= '7_3';

  // Types.
  const { rows } = await run(c, 'SELECT * FROM dbo.alltypes ORDER BY id');
  assert.strictEqual(rows.length, 3);
  assert.strictEqual(rows[0].length, 33);
  assert(rows[1].slice(1).every((v) => v === null));
  assert.strictEqual(rows[0][4], 2147483647);
  assert.strictEqual(rows[0][5], '-9223372036854775808');
  assert.strictEqual(rows[0][22], 'nvarchar 水𝄞');
  assert.strictEqual(rows[0][20], 'varchar é');
  assert.strictEqual(rows[0][18], '00112233-4455-6677-8899-AABBCCDDEEFF');
  assert.strictEqual(rows[0][23].length, 20000);
  assert.strictEqual(rows[0][32], 42);
  if (modern) assert.strictEqual(rows[0][17].toISOString(), '2024-02-29T07:44:15.123Z');

  // Parameters, output parameters, procedures.
  const big = 'x水'.repeat(30000);
  const got = await run(c, 'SELECT @i, @s, @d, @b, @big', 'execSql', [
    ['i', TYPES.Int, 7], ['s', TYPES.NVarChar, 'süß'], ['d', TYPES.DateTime, new Date('2024-02-29T12:00:00Z')],
    ['b', TYPES.VarBinary, Buffer.from([1, 2])], ['big', TYPES.NVarChar, big],
  ]);
  assert.deepStrictEqual(got.rows, [[7, 'süß', new Date('2024-02-29T12:00:00Z'), Buffer.from([1, 2]), big]]);
  const proc = await run(c, 'toy_outputs', 'callProcedure', [], [['n', TYPES.Int, 21], ['s', TYPES.NVarChar, 'ab', { length: 100 }]]);
  assert.deepStrictEqual(proc.out, { n: 42, s: 'abab' });
  if (modern) {
    const table = { columns: [{ name: 'n', type: TYPES.Int }, { name: 's', type: TYPES.NVarChar, length: 10 }], rows: [[1, 'a'], [2, null]] };
    const echo = await run(c, 'toy_echo', 'callProcedure', [['t', TYPES.TVP, table]]);
    assert.deepStrictEqual(echo.rows, [[2]]);
  }

  // Prepared.
  await new Promise((resolve, reject) => {
    const seen = [];
    const r = new Request('SELECT @n * 2', (err) => (err ? reject(err) : resolve()));
    r.addParameter('n', TYPES.Int);
    let left = 3;
    r.on('row', (cols) => seen.push(cols[0].value));
    r.on('prepared', () => c.execute(r, { n: left }));
    r.on('requestCompleted', () => {
      if (r.preparing || !seen.length) return;
    });
    r.callback = (err) => {
      if (err) return reject(err);
      if (!seen.length && r.handle && !r.started) { r.started = true; return c.execute(r, { n: left }); }
      if (--left > 0) return c.execute(r, { n: left });
      const u = r;
      u.callback = (e) => { try { assert.deepStrictEqual(seen, [6, 4, 2]); } catch (x) { return reject(x); } return e ? reject(e) : resolve(); };
      c.unprepare(u);
      return undefined;
    };
    r.removeAllListeners('prepared');
    c.prepare(r);
  });

  // Transactions.
  await run(c, 'IF OBJECT_ID(\'dbo.nodes\') IS NOT NULL DROP TABLE dbo.nodes', 'execSqlBatch');
  await run(c, 'CREATE TABLE dbo.nodes (id int IDENTITY PRIMARY KEY, s nvarchar(20) UNIQUE)', 'execSqlBatch');
  await call(c, 'beginTransaction', 'one', ISOLATION_LEVEL.SERIALIZABLE);
  await run(c, 'INSERT INTO dbo.nodes (s) VALUES (@s)', 'execSql', [['s', TYPES.NVarChar, 'a']]);
  await call(c, 'saveTransaction', 'sp');
  await run(c, 'INSERT INTO dbo.nodes (s) VALUES (N\'b\')', 'execSqlBatch');
  await call(c, 'rollbackTransaction', 'sp');
  await call(c, 'commitTransaction');
  assert.deepStrictEqual((await run(c, 'SELECT id, s FROM dbo.nodes ORDER BY id')).rows, [[1, 'a']]);
  await run(c, 'BEGIN TRAN; DELETE FROM dbo.nodes', 'execSqlBatch');
  await run(c, 'ROLLBACK', 'execSqlBatch');
  assert.deepStrictEqual((await run(c, 'SELECT COUNT(*) FROM dbo.nodes', 'execSqlBatch')).rows, [[1]]);

  // Errors.
  await fails(208, run(c, 'SELECT * FROM nowhere'));
  await fails(2627, run(c, 'INSERT INTO dbo.nodes (s) VALUES (N\'a\')', 'execSqlBatch'));
  await fails(8134, run(c, 'SELECT 1/0', 'execSqlBatch'));
  await fails(102, run(c, 'SELECT FROM', 'execSqlBatch'));

  // Attention.
  let cancelled;
  await new Promise((resolve) => {
    const r = new Request("WAITFOR DELAY '01:00:00'", (err) => { cancelled = err; resolve(); });
    c.execSqlBatch(r);
    setTimeout(() => c.cancel(), 50);
  });
  assert.strictEqual(cancelled.code, 'ECANCEL');
  assert.deepStrictEqual((await run(c, 'SELECT 1', 'execSqlBatch')).rows, [[1]]);

  // Bulk load.
  await run(c, 'CREATE TABLE dbo.loaded (n int NOT NULL, s nvarchar(50))', 'execSqlBatch');
  const count = await new Promise((resolve, reject) => {
    const b = c.newBulkLoad('dbo.loaded', {}, (err, n) => (err ? reject(err) : resolve(n)));
    b.addColumn('n', TYPES.Int, { nullable: false });
    b.addColumn('s', TYPES.NVarChar, { length: 50, nullable: true });
    c.execBulkLoad(b, Array.from({ length: 2000 }, (_, n) => ({ n, s: n % 5 ? `row ${n}` : null })));
  });
  assert.strictEqual(count, 2000);
  assert.deepStrictEqual((await run(c, 'SELECT COUNT(*), COUNT(s), MAX(n) FROM dbo.loaded', 'execSqlBatch')).rows, [[2000, 1600, 1999]]);
  await run(c, 'DROP TABLE dbo.loaded', 'execSqlBatch');

  // Reset.
  await run(c, 'SET DATEFIRST 3; CREATE TABLE #t (n int)', 'execSqlBatch');
  await call(c, 'reset');
  const after = await run(c, 'SELECT @@DATEFIRST, OBJECT_ID(\'tempdb..#t\')', 'execSqlBatch');
  assert.strictEqual(after.rows[0][0], 7);
  assert.strictEqual(after.rows[0][1], null);

  // A large result.
  let n = 0;
  await new Promise((resolve, reject) => {
    const r = new Request('SELECT n FROM dbo.numbers(50000)', (err) => (err ? reject(err) : resolve()));
    r.on('row', (cols) => { n += 1; assert.strictEqual(cols[0].value, n); });
    c.execSqlBatch(r);
  });
  assert.strictEqual(n, 50000);
  c.close();
}

main().then(() => console.log('ok'), (err) => { console.error(err); process.exit(1); });
