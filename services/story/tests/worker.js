// A worker in a process of its own: it claims one step at a time and completes it, and tells its parent what it does. When nothing is
// ready it waits for the parent to say so. The parent kills it at any of these points.
const { claimReadySteps, completeStep, openStory } = require('@azora/story');

const { url, agentId, leaseMs } = JSON.parse(process.argv[2]);
const stories = openStory({ url, pool: { max: 1 } });

async function work() {
  const [step] = await claimReadySteps(stories, { agentId, leaseMs });
  if (step === undefined) {
    process.send('idle');
    return;
  }
  process.send('claimed');
  await completeStep(stories, { claimId: step.claimId, output: agentId }).catch((error) => {
    if (error.code !== 'STORY.LEASE_LOST') throw error;
  });
  process.send('ended');
  setImmediate(work);
}

process.on('message', work);
process.on('disconnect', () => process.exit(0));
process.send('started');
