// Two connections of tedious share what stands between them and the server: node share.js MODULES HOST PORT USER DATABASE CA ENCRYPT
// SLOW. The password is in TDS_PASSWORD; SLOW is a statement that takes long. Prints ok at the end.
'use strict';
const assert = require('assert');
const fs = require('fs');
const path = require('path');
const [modules, host, port, user, database, ca, encrypt, slow] = process.argv.slice(2);
const { Connection, Request, TYPES } = require(path.join(modules, 'tedious'));

function connect() {
  return new Promise((resolve, reject) => {
    const c = new Connection({
      server: host,
      authentication: { type: 'default', options: { userName: user, password: process.env.TDS_PASSWORD } },
      options: {
        port: Number(port), database, encrypt: encrypt === 'strict' ? 'strict' : encrypt === 'true', serverName: 'localhost',
        cryptoCredentialsDetails: { ca: fs.readFileSync(ca) }, connectTimeout: 60000, requestTimeout: 0,
      },
    });
    c.connect((err) => (err ? reject(err) : resolve(c)));
    c.on('error', () => {});
  });
}

function run(c, text, how = 'execSqlBatch', params = []) {
  return new Promise((resolve, reject) => {
    const rows = [];
    const r = new Request(text, (err) => (err ? reject(err) : resolve(rows)));
    for (const [n, t, v] of params) r.addParameter(n, t, v);
    r.on('row', (cols) => rows.push(cols.map((x) => x.value)));
    c[how](r);
  });
}

const call = (c, name, ...args) => new Promise((resolve, reject) => c[name]((err) => (err ? reject(err) : resolve()), ...args));

async function fails(p) {
  let err;
  await p.catch((e) => { err = e; });
  assert(err && err.number, `no error of the server's: ${err}`);
}

// prepared executes a prepared statement three times.
function prepared(c, add) {
  return new Promise((resolve, reject) => {
    const seen = [];
    let left = 3;
    const r = new Request(`SELECT @n + ${add}`, (err) => { // not of prepare
      if (err) return reject(err);
      if (left < 0) return resolve(seen);
      left -= 1;
      return left < 0 ? c.unprepare(r) : c.execute(r, { n: left });
    });
    r.on('prepared', () => { left -= 1; c.execute(r, { n: left }); });
    r.addParameter('n', TYPES.Int);
    r.on('row', (cols) => seen.push(cols[0].value));
    c.prepare(r);
  });
}

async function main() {
  const a = await connect();
  const b = await connect();
  const count = async (want) => {
    for (const c of [a, b]) assert.deepStrictEqual(await run(c, 'SELECT COUNT(*) FROM dbo.shared'), [[want]]);
  };
  await run(a, 'CREATE TABLE dbo.shared (id int NOT NULL PRIMARY KEY, s nvarchar(50) NULL)');
  for (let i = 0; i < 3; i += 1) {
    for (const c of [a, b]) assert.deepStrictEqual(await run(c, 'SELECT @n, @s', 'execSql', [['n', TYPES.Int, i], ['s', TYPES.NVarChar, 'süß']]), [[i, 'süß']]);
  }
  assert.deepStrictEqual(await prepared(a, 1), [3, 2, 1]);
  assert.deepStrictEqual(await prepared(b, 2), [4, 3, 2]);

  await call(a, 'beginTransaction');
  await run(a, "INSERT INTO dbo.shared VALUES (1, N'x')");
  await call(a, 'rollbackTransaction');
  await count(0);
  await call(b, 'beginTransaction');
  await run(b, "INSERT INTO dbo.shared VALUES (1, N'x')");
  await call(b, 'commitTransaction');
  await count(1);

  await run(a, 'SET LOCK_TIMEOUT 1234');
  assert.deepStrictEqual(await run(b, 'SELECT @@LOCK_TIMEOUT'), [[-1]]);
  assert.deepStrictEqual(await run(a, 'SELECT @@LOCK_TIMEOUT'), [[1234]]);

  await fails(run(a, "INSERT INTO dbo.shared VALUES (1, N'y')"));
  await fails(run(b, 'SELECT * FROM dbo.nowhere'));
  await fails(run(a, 'SELECT 1/0'));

  // The server may be done before it sees the attention.
  await new Promise((resolve, reject) => {
    a.execSqlBatch(new Request(slow, (err) => (err && err.code !== 'ECANCEL' ? reject(err) : resolve())));
    setTimeout(() => a.cancel(), 50);
  });
  await count(1);

  const loaded = await new Promise((resolve, reject) => {
    const l = b.newBulkLoad('dbo.shared', {}, (err, n) => (err ? reject(err) : resolve(n)));
    l.addColumn('id', TYPES.Int, { nullable: false });
    l.addColumn('s', TYPES.NVarChar, { length: 50, nullable: true });
    b.execBulkLoad(l, Array.from({ length: 1000 }, (_, n) => ({ id: 100 + n, s: n % 5 ? `row ${n}` : null })));
  });
  assert.strictEqual(loaded, 1000);
  await count(1001);

  await call(a, 'reset');
  assert.deepStrictEqual(await run(a, 'SELECT @@LOCK_TIMEOUT'), [[-1]]);
  a.close();
  assert.deepStrictEqual(await run(b, 'SELECT @@TRANCOUNT'), [[0]]);
  b.close();
}

main().then(() => console.log('ok'), (err) => { console.error(err); process.exit(1); });
