// Submits runs over gRPC at a constant rate, whatever it is answered, and counts the answers.
import grpc from 'k6/net/grpc';
import { Counter } from 'k6/metrics';

const settings = JSON.parse(__ENV.SUBMIT);
const client = new grpc.Client();
const taken = new Counter('taken');
const toldToWait = new Counter('toldToWait');
const failed = new Counter('failed');

export const options = {
  scenarios: {
    submit: {
      executor: 'constant-arrival-rate',
      rate: settings.rate,
      timeUnit: '1s',
      duration: `${settings.seconds}s`,
      preAllocatedVUs: 16,
      maxVUs: 16,
      gracefulStop: '60s',
    },
  },
};

export default function () {
  if (__ITER === 0) {
    client.connect(settings.address, { plaintext: true, reflect: true });
  }
  const request = { definition: settings.definition, request_id: `k6-${Date.now()}-${__VU}-${__ITER}`, input: settings.input };
  const metadata = { authorization: `Bearer ${settings.key}` };
  const answer = client.invoke('mesh.v1.WorkflowService/SubmitRun', request, { metadata, timeout: '60s' });
  if (answer && answer.status === grpc.StatusOK) {
    taken.add(1);
  } else if (answer && answer.status === grpc.StatusResourceExhausted) {
    toldToWait.add(1);
  } else {
    failed.add(1);
    console.error(JSON.stringify(answer && answer.error));
  }
}

export function handleSummary(data) {
  const count = (name) => (data.metrics[name] ? data.metrics[name].values.count : 0);
  const told = { taken: count('taken'), toldToWait: count('toldToWait'), failed: count('failed') };
  return { stdout: `${JSON.stringify(told)}\n` };
}
