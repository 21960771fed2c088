// Services that do steps, and a client that asks for runs of them. Reads what to measure as lines of JSON, answers with lines of figures in microseconds.
// driver.mjs INGRESS-URL ADMIN-URL

import { createServer } from "node:http2";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

import * as restate from "@restatedev/restate-sdk";

// The SDK wants what Node.js has since version 22.
Promise.withResolvers ??= function () {
  const resolvers = {};
  resolvers.promise = new this((resolve, reject) => Object.assign(resolvers, { resolve, reject }));
  return resolvers;
};

// Longest time until the server answers, in milliseconds.
const PATIENCE = 60_000;

const [ingress, admin] = process.argv.slice(2);

// When the agents worked on what, by run.
const spans = new Map();

// One step: it takes its time and remembers when that was.
const work = async ({ run, millis, fails }) => {
  const start = performance.now();
  if (millis > 0) {
    await sleep(millis);
  }
  spans.get(run).push({ start, end: performance.now() });
  if (fails) {
    throw new restate.TerminalError("as asked");
  }
  return millis;
};

// Takes steps of runs, as an agent elsewhere would.
const agent = restate.service({
  name: "Agent",
  handlers: { work: async (_ctx, step) => work(step) },
});

// The rounds one after the other, the steps of a round at once: as calls of the agent, or as side effects whose results are journaled, which are the
// cheapest durable steps that there are.
const bench = restate.service({
  name: "Bench",
  handlers: {
    shape: async (ctx, { run, phases, millis, calls }) => {
      for (const { rounds, width, fails } of phases) {
        for (let round = 0; round < rounds; round++) {
          const step = { run, millis, fails };
          const steps = Array.from({ length: width }, () =>
            calls ? ctx.serviceClient(agent).work(step) : ctx.run("work", () => work(step)),
          );
          const ended = await restate.RestatePromise.allSettled(steps);
          if (ended.some(({ status }) => (status === "rejected") !== fails)) {
            throw new restate.TerminalError("a step ended otherwise than asked");
          }
        }
      }
    },
  },
});

const post = async (url, body) => {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) {
    throw new Error(`${url}: ${answer.status}: ${text}`);
  }
};

// Tells the server where the services are, once it answers.
const register = async (uri) => {
  for (const end = performance.now() + PATIENCE; ; ) {
    try {
      return await post(`${admin}/deployments`, { uri, force: true });
    } catch (error) {
      if (performance.now() > end) {
        throw error;
      }
      await sleep(200);
    }
  }
};

const micros = (milliseconds) => Math.max(0, Math.round(milliseconds * 1000));

// Does so many runs, so many of them at a time.
const measure = async ({ phases, millis, runs, atOnce, calls }, number) => {
  const figures = { wall: 0, runs: [], gaps: [], steps: 0 };
  let next = 0;
  const client = async () => {
    while (next < runs) {
      const run = `run-${number}-${next++}`;
      spans.set(run, []);
      const start = performance.now();
      await post(`${ingress}/Bench/shape`, { run, phases, millis, calls });
      figures.runs.push(micros(performance.now() - start));
      let last = start;
      for (const span of spans.get(run)) {
        figures.gaps.push(micros(span.start - last));
        last = span.end;
      }
      figures.steps += spans.get(run).length;
      spans.delete(run);
    }
  };
  const begin = performance.now();
  await Promise.all(Array.from({ length: Math.max(atOnce, 1) }, client));
  figures.wall = micros(performance.now() - begin);
  return figures;
};

// What the services say goes where errors go: the figures are the output.
const logger = ({ level }, ...said) => level === "error" && console.error(...said);

const server = createServer(restate.createEndpointHandler({ services: [agent, bench], logger }));
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
await register(`http://127.0.0.1:${server.address().port}`);
let number = 0;
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await measure(JSON.parse(line), number++)));
}
process.exit(0);
