// Uses Sequelize, on mysql2, and prints the SQL that it sends and what it sees: the same through Forebay as directly. The
// argument is the folder of the modules, the connection is in the environment.
const { Sequelize, DataTypes, Op, Transaction, QueryTypes } = require(process.argv[2] + '/sequelize')
const { inspect } = require('node:util')
const env = process.env
let quiet = false

const open = more => new Sequelize(env.DB_NAME, env.DB_USER, env.DB_PASSWORD, {
  host: env.DB_HOST,
  port: +env.DB_PORT,
  dialect: 'mysql',
  dialectModulePath: process.argv[2] + '/mysql2',
  timezone: '+05:30',
  pool: { max: 1 },
  // The names of transactions are random.
  logging: sql => quiet || console.log('  ' + sql.replace(/Executing \([^)]*\)/, 'Executing').replace(/[0-9a-f-]{36}/g, 'UUID')),
  ...more
})
const show = (what, ...values) => console.log(what + ':', ...values.map(v => inspect(v, { depth: 6, breakLength: 140, maxArrayLength: 20 })))
const plain = list => list.map(m => m.get({ plain: true }))

async function fails (what, f) {
  try {
    await f()
    show(what, 'no error')
  } catch (e) {
    const p = e.parent || {}
    show(what, e.name, e.message, p.code, p.errno, p.sqlState, e.fields)
  }
}

function models (db) {
  const Owner = db.define('Owner', { name: { type: DataTypes.STRING(100), unique: true, allowNull: false } }, { tableName: 'sq_owner', timestamps: false, charset: 'utf8mb4' })
  const Item = db.define('Item', {
    name: DataTypes.STRING,
    big: DataTypes.BIGINT,
    price: DataTypes.DECIMAL(20, 5),
    ratio: DataTypes.DOUBLE,
    flag: DataTypes.BOOLEAN,
    at: DataTypes.DATE(6),
    day: DataTypes.DATEONLY,
    data: DataTypes.BLOB('long'),
    more: DataTypes.JSON,
    kind: DataTypes.ENUM('a', 'b')
  }, { tableName: 'sq_item', timestamps: false, charset: 'utf8mb4', indexes: [{ fields: ['name'] }] })
  Owner.hasMany(Item)
  Item.belongsTo(Owner)
  return { Owner, Item }
}

async function main () {
  const db = open()
  await db.authenticate()
  const { Owner, Item } = models(db)
  await db.query('DROP TABLE IF EXISTS sq_item, sq_owner')
  await db.sync()
  show('tables', (await db.getQueryInterface().showAllTables()).map(t => t.tableName || t).filter(t => t.startsWith('sq_')))
  show('columns', await db.getQueryInterface().describeTable('sq_item'))

  // Rows of several types, and NULL.
  const owner = await Owner.create({ name: "it's \"ü€😀\\" })
  const item = await owner.createItem({
    name: 'first', big: '9007199254740993', price: '-12345678.12345', ratio: 1.5e300, flag: true, at: new Date(Date.UTC(2024, 1, 29, 23, 59, 59, 123)),
    day: '1999-12-31', data: Buffer.from([0, 1, 2, 255]), more: { a: [1, null] }, kind: 'b'
  })
  show('created', owner.id, item.id)
  show('reloaded', (await item.reload()).get({ plain: true }))
  show('bulk', (await Item.bulkCreate(Array.from({ length: 50 }, (_, i) => ({ name: 'n' + i, OwnerId: i % 3 ? null : owner.id })))).length)
  show('joined', plain(await Owner.findAll({ include: { model: Item, attributes: ['id', 'name'] }, order: [['id', 'ASC'], [Item, 'id', 'ASC']] })))
  show('counted', await Item.findAndCountAll({ where: { name: { [Op.like]: 'n1%' } }, limit: 3, order: ['id'], raw: true }))
  show('updated', await Item.update({ flag: false }, { where: { name: { [Op.like]: 'n%' } } }), await Item.update({ flag: false }, { where: { name: { [Op.like]: 'n%' } } }))
  show('increment', await item.increment('big', { by: 2 }), (await item.reload()).big)
  show('upsert', await Owner.upsert({ id: owner.id, name: 'changed' }), await Owner.upsert({ name: 'other' }))
  show('findOrCreate', (await Owner.findOrCreate({ where: { name: 'third' } })).map(v => v.get ? v.get({ plain: true }) : v))
  show('destroyed', await Item.destroy({ where: { name: 'n7' } }))

  // Raw statements, with replacements, and prepared ones with bound values.
  show('replaced', await db.query('SELECT :a AS a, :b AS b', { replacements: { a: 1, b: null }, type: QueryTypes.SELECT }))
  show('bound', await db.query('SELECT $a AS a, $b AS b, $c AS c', { bind: { a: 'x', b: null, c: 5 }, type: QueryTypes.SELECT }))
  show('inserted', await db.query("INSERT INTO sq_owner (name) VALUES ('raw')", { type: QueryTypes.INSERT }))
  show('raw update', await db.query("UPDATE sq_owner SET name = 'raw2' WHERE name = 'raw'", { type: QueryTypes.UPDATE }))
  show('zone', await db.query('SELECT @@time_zone AS z, FROM_UNIXTIME(0) AS t', { type: QueryTypes.SELECT }))
  await db.query("INSERT IGNORE INTO sq_item (kind) VALUES ('z')", { showWarnings: true })

  // Errors.
  await fails('unique', () => Owner.create({ name: 'changed' }))
  await fails('foreign key', () => Item.create({ OwnerId: 12345 }))
  await fails('null', () => db.query('INSERT INTO sq_owner (name) VALUES (NULL)'))
  await fails('no table', () => db.query('SELECT * FROM sq_nothing'))
  await fails('syntax', () => db.query('SELEC $1', { bind: [1] }))

  // Transactions.
  await db.transaction(async t => { await Owner.create({ name: 'kept' }, { transaction: t }) })
  await fails('rolled back', () => db.transaction(async t => {
    await Owner.create({ name: 'lost' }, { transaction: t })
    throw new Error('mine')
  }))
  await db.transaction({ isolationLevel: Transaction.ISOLATION_LEVELS.SERIALIZABLE }, async t => {
    show('isolation', await db.query('SELECT @@tx_isolation AS i, @@in_transaction AS t', { type: QueryTypes.SELECT, transaction: t }))
    await db.transaction({ transaction: t }, async inner => { await Owner.create({ name: 'inner' }, { transaction: inner }) })
    await fails('savepoint', () => db.transaction({ transaction: t }, async inner => {
      await Owner.create({ name: 'inner lost' }, { transaction: inner })
      await Owner.create({ name: 'inner' }, { transaction: inner })
    }))
    show('locked', plain(await Owner.findAll({ where: { name: 'inner' }, lock: t.LOCK.UPDATE, transaction: t })))
  })
  show('isolation after', await db.query('SELECT @@tx_isolation AS i, @@in_transaction AS t', { type: QueryTypes.SELECT }))
  show('owners', plain(await Owner.findAll({ order: ['id'] })))

  // A large value in both directions.
  quiet = true
  const big = Buffer.alloc(17 << 20, 'abcdefghijklmnopqrstuvwxyz0123456789-')
  const { id } = await Item.create({ data: big })
  show('large', (await Item.findByPk(id)).data.equals(big))
  await db.close()

  // TLS and compression.
  for (const dialectOptions of [{ ssl: { rejectUnauthorized: false } }, { compress: true }]) {
    const db = open({ dialectOptions })
    show('other', Object.keys(dialectOptions), await db.query('SELECT LENGTH(:t) AS n, :t AS t', { replacements: { t: 'x'.repeat(100) }, type: QueryTypes.SELECT }))
    await db.close()
  }

  // A pool of many connections; each transaction sees what it does itself.
  const many = open({ pool: { max: 20, min: 20 } })
  const all = models(many)
  const wrong = []
  await Promise.all(Array.from({ length: 100 }, (_, i) => many.transaction(async t => {
    // Not a bound value: a variable set from one keeps its server connection.
    await many.query('SET @mine = :i', { replacements: { i }, transaction: t })
    const o = await all.Owner.create({ name: 'w' + i }, { transaction: t })
    const [r] = await many.query('SELECT LAST_INSERT_ID() AS id, @mine AS mine, @@time_zone AS zone', { type: QueryTypes.SELECT, transaction: t })
    if (+r.id !== o.id || +r.mine !== i || r.zone !== '+05:30') wrong.push([i, o.id, r])
    if (i % 2) throw new Error('odd')
  }).catch(e => { if (e.message !== 'odd') wrong.push([i, e]) })))
  show('concurrent', wrong, await all.Owner.count({ where: { name: { [Op.regexp]: '^w[0-9]' } } }))
  await many.close()
  console.log('ok')
}

main().catch(err => { console.error(err); process.exit(1) })
