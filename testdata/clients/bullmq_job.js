// A job by BullMQ over ioredis: `bullmq_job.js work` runs jobs, `bullmq_job.js ask` has some run and prints what came of
// them. Its keys get their prefix from `prefix`; ioredis' own `keyPrefix` does not go with BullMQ.

const { FlowProducer, Queue, QueueEvents, Worker } = require('bullmq');
const IORedis = require('ioredis');
const Redis = IORedis.Redis ?? IORedis;

const connection = () => new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null });
const options = () => ({ connection: connection(), prefix: `${process.env.NAMESPACE}:bull` });

function work() {
  const run = async (job) => {
    if (job.name === 'add') return job.data.a + job.data.b;
    if (job.name === 'total') return Object.values(await job.getChildrenValues()).reduce((a, b) => a + b);
    throw new Error(`no job is called ${job.name}`);
  };
  new Worker('sums', run, { ...options(), concurrency: 2 });
}

async function ask() {
  const queue = new Queue('sums', options());
  const events = new QueueEvents('sums', options());
  const flows = new FlowProducer(options());
  await events.waitUntilReady();
  const done = (job) => job.waitUntilFinished(events, 20000);
  console.log('result:', await done(await queue.add('add', { a: 2, b: 3 })));
  console.log('later:', await done(await queue.add('add', { a: 4, b: 5 }, { delay: 500 })));
  const child = { name: 'add', queueName: 'sums', data: { a: 1, b: 1 } };
  const { job } = await flows.add({ name: 'total', queueName: 'sums', children: [child, { ...child, data: { a: 2, b: 2 } }] });
  console.log('flow:', await done(job));
  console.log('a failure:', await done(await queue.add('none', {})).catch((error) => error.message));
  const counts = await queue.getJobCounts('completed', 'failed');
  console.log('counts:', counts.completed, counts.failed);
  await queue.obliterate({ force: true });
  process.exit(0);
}

if (process.argv[2] === 'work') work();
else ask().catch((error) => { console.error(error); process.exit(1); });
