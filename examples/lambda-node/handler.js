// An ordinary Lambda function: GET / counts the visit and says how many there were. It knows nothing of Forebay: this is
// how a function talks to RDS Proxy.
import fs from 'node:fs'
import { Signer } from '@aws-sdk/rds-signer'
import { DataTypes, Sequelize } from 'sequelize'

const {
  DB_HOST, // the proxy's endpoint
  DB_PORT = '3306',
  DB_USER,
  DB_NAME,
  DB_CA, // file with the certificate authority of the proxy: Forebay's is ca.pem in its data folder
  AWS_REGION
} = process.env

// Makes a token: a URL, signed with the function's own credentials, that is good for one log-in within 15 minutes. No call
// leaves the process for it.
const signer = new Signer({ hostname: DB_HOST, port: Number(DB_PORT), username: DB_USER, region: AWS_REGION })

// All this is outside the handler: Lambda keeps the process for the next invocation, and with it the connection.
const sequelize = new Sequelize({
  dialect: 'mysql',
  host: DB_HOST,
  port: Number(DB_PORT),
  username: DB_USER,
  database: DB_NAME,
  logging: false,
  pool: { max: 1, min: 0, idle: 60_000, acquire: 60_000 }, // an instance has one invocation at a time
  dialectOptions: {
    connectTimeout: 60_000,
    ssl: { ca: DB_CA && fs.readFileSync(DB_CA) }, // verified: name and authority
    authPlugins: {
      // The proxy asks for the token in this way; over TLS alone, so that nobody else reads it.
      mysql_clear_password: ({ connection }) => () => Buffer.from(`${connection.config.password}\0`)
    }
  }
})
// A token is made for each connection, since an old one would have expired.
sequelize.beforeConnect(async config => { config.password = await signer.getAuthToken() })

const Visit = sequelize.define('Visit', { path: DataTypes.STRING(200), instance: DataTypes.INTEGER }, { tableName: 'visits', updatedAt: false })

export async function handler (event) {
  await Visit.create({ path: event.rawPath ?? '/', instance: process.pid })
  return {
    statusCode: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ visits: await Visit.count() })
  }
}

// For deployments: node -e "import('./handler.js').then(h => h.migrate())"
export async function migrate () {
  await Visit.sync()
  await sequelize.close()
}
