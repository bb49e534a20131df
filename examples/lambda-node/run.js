// Invokes handler.js as Lambda does behind API Gateway: each instance is a process of its own that begins cold and takes one
// invocation at a time; while all are busy, more are started.
//
//   node run.js [--instances 50] [--invocations 10] [--starting 4]
//
// 50 instances are up at once in the end, and each is invoked 10 times. What a computer cannot do is start 50 of them in one
// moment: 4 at a time do (--starting), and those that are up wait for the others, so that the burst itself is one.
// Prints a summary, and as the last line the same as JSON. The exit code is 0 if every invocation succeeded.
import { fork } from 'node:child_process'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

if (process.send) await instance()
else await gateway()

// instance is one instance of the function.
async function instance () {
  process.on('disconnect', () => process.exit())
  const begin = performance.now()
  const { handler } = await import('./handler.js')
  process.send({ up: performance.now() - begin })
  process.on('message', async event => {
    const begin = performance.now()
    let error
    try {
      const answer = await handler(event)
      if (answer.statusCode !== 200) error = `status ${answer.statusCode}`
    } catch (e) {
      error = `${e.name}: ${e.message}`
    }
    process.send({ took: performance.now() - begin, error })
  })
}

async function gateway () {
  const { values } = parseArgs({
    options: {
      instances: { type: 'string', default: '50' },
      invocations: { type: 'string', default: '10' },
      starting: { type: 'string', default: String(2 * cpus().length) }
    }
  })
  const [instances, invocations, starting] = [values.instances, values.invocations, values.starting].map(Number)
  const begin = performance.now()
  const all = []
  let next = 0
  await Promise.all(Array.from({ length: Math.min(starting, instances) }, async () => {
    while (next++ < instances) all.push(await start())
  }))
  const burst = performance.now()
  const results = (await Promise.all(all.map(async one => {
    const own = []
    for (let i = 0; i < invocations && (one.alive || i === 0); i++) own.push({ cold: i === 0, ...await one.invoke() })
    return own
  }))).flat()
  const end = performance.now()
  for (const one of all) one.process.disconnect()
  report(all, results, { instances, expected: instances * invocations, starts: burst - begin, burst: end - burst })
}

// start resolves when an instance is up, or has failed to get up.
function start () {
  const child = fork(fileURLToPath(import.meta.url), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const one = { process: child, alive: true }
  let waiting
  const next = () => new Promise(resolve => { waiting = resolve })
  child.on('message', message => waiting?.(message))
  child.on('exit', code => {
    one.alive = false
    waiting?.({ took: 0, error: `the instance ended with exit code ${code}` })
  })
  one.invoke = () => {
    if (!one.alive) return { took: 0, error: 'the instance could not start' }
    const answer = next()
    child.send({ version: '2.0', rawPath: '/', requestContext: { http: { method: 'GET', path: '/' } } })
    return answer
  }
  return next().then(message => Object.assign(one, message))
}

function report (all, results, { instances, expected, starts, burst }) {
  const succeeded = results.filter(r => !r.error)
  const at = (list, share) => list.length ? list[Math.min(list.length - 1, Math.floor(list.length * share))] : 0
  const figures = list => {
    const sorted = list.map(r => r.took).sort((a, b) => a - b)
    return { p50: Math.round(at(sorted, 0.5)), p99: Math.round(at(sorted, 0.99)), max: Math.round(sorted.at(-1) ?? 0) }
  }
  const cold = figures(succeeded.filter(r => r.cold))
  const warm = figures(succeeded.filter(r => !r.cold))
  const errors = {}
  for (const { error } of results) if (error) errors[error] = (errors[error] ?? 0) + 1
  const failed = expected - succeeded.length
  const ms = f => `p50 ${f.p50} ms, p99 ${f.p99} ms, max ${f.max} ms`
  console.log(`${instances} instances, up after ${(starts / 1000).toFixed(1)} s; ${expected} invocations in ${(burst / 1000).toFixed(1)} s`)
  console.log(`  succeeded  ${succeeded.length}`)
  console.log(`  failed     ${failed}`)
  console.log(`  first invocation, with the log-in: ${ms(cold)}`)
  console.log(`  later ones, on the connection kept: ${ms(warm)}`)
  for (const [error, n] of Object.entries(errors).sort((a, b) => b[1] - a[1])) console.log(`  ${n} x ${error}`)
  console.log(JSON.stringify({ instances, invocations: expected, succeeded: succeeded.length, failed, cold, warm }))
  process.exitCode = failed ? 1 : 0
}
