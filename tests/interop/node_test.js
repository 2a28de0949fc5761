// Interop: @grpc/grpc-js, an implementation of gRPC of its own, drives a running server. usage: node node_test.js HOST:PORT
// The server must have the catalog "shop" and the definition "wanted-next" with a model (tests/integration/interop_test.c).
'use strict';
const path = require('path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const root = path.join(__dirname, '..', '..', 'proto');
const described = loader.loadSync(['kindred/v1/recommend.proto', 'kindred/v1/events.proto', 'grpc/health/v1/health.proto'], {
  includeDirs: [root, '/usr/include'], longs: Number, enums: String, defaults: true,
});
const packages = grpc.loadPackageDefinition(described);
const credentials = grpc.credentials.createInsecure();
const open = (Service) => new Service(process.argv[2], credentials);
let checks = 0;

function check(what, held) {
  checks++;
  console.log((held ? 'ok   ' : 'FAIL ') + what);
  if (!held) process.exit(1);
}

const call = (client, method, request) => new Promise((resolve, reject) => {
  client[method](request, { deadline: Date.now() + 120000 }, (error, answer) => (error ? reject(error) : resolve(answer)));
});
const code = (promise) => promise.then(() => grpc.status.OK, (error) => error.code);

async function main() {
  const recommend = open(packages.kindred.v1.RecommendationService);
  const events = open(packages.kindred.v1.EventService);
  const health = open(packages.grpc.health.v1.Health);

  check('health says SERVING', (await call(health, 'Check', {})).status === 'SERVING');
  const before = await call(recommend, 'Recommend', { userId: 'node-1', definition: 'wanted-next', count: 3 });
  check('a new user gets popular items', before.items.length === 3 && before.items.every((i) => i.source === 'SOURCE_POPULAR'));
  const answer = await call(events, 'IngestEvents', {
    catalog: 'shop', events: [{ userId: 'node-1', itemId: 'c1', type: 'Viewed', eventId: 'n1' }],
  });
  check('an event is accepted', answer.outcomes[0] === 'OUTCOME_ACCEPTED');
  const after = await call(recommend, 'Recommend', { userId: 'node-1', definition: 'wanted-next', count: 3 });
  check('the next call knows it', after.items[0].source === 'SOURCE_PERSONAL' && after.items[0].itemId.startsWith('c'));

  const results = await new Promise((resolve, reject) => {
    const seen = [];
    const stream = recommend.RecommendMany();
    stream.on('data', (message) => seen.push(...message.results));
    stream.on('error', reject);
    stream.on('end', () => resolve(seen));
    for (let m = 0; m < 20; m++) {
      stream.write({ userIds: Array.from({ length: 50 }, (_, i) => `node-${m * 50 + i}`), definition: 'wanted-next', count: 2 });
    }
    stream.end();
  });
  check('a thousand users of a stream come back once each', new Set(results.map((r) => r.userId)).size === 1000 && results.length === 1000);

  check('no such definition is NOT_FOUND',
    await code(call(recommend, 'Recommend', { userId: 'x', definition: 'none' })) === grpc.status.NOT_FOUND);
  check('no user is INVALID_ARGUMENT',
    await code(call(recommend, 'Recommend', { definition: 'wanted-next' })) === grpc.status.INVALID_ARGUMENT);

  const statuses = await new Promise((resolve, reject) => {
    const watch = health.Watch({ service: 'none.of.this.name' });
    watch.once('data', (message) => { resolve(message.status); watch.cancel(); });
    watch.on('error', (error) => { if (error.code !== grpc.status.CANCELLED) reject(error); });
  });
  check('health Watch of an unknown service says SERVICE_UNKNOWN and stays open', statuses === 'SERVICE_UNKNOWN');
  console.log(`${checks} passed, 0 failed`);
  process.exit(0);
}

main().catch((error) => { console.error(error); process.exit(1); });
