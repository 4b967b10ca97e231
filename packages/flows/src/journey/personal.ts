import { deterministicResponder, saveMember, startConversation, say as tell } from '@azora/family';
import { recommend, refreshProfiles, saveItems, saveProfile, track } from '@azora/nexus';
import { addCard, addItem, answerItem, createSkill, reviewCard, startAssessment } from '@azora/sapiens';
import type { Journey } from './context';
import type { JourneyEnrollment } from './learning';
import type { People } from './sign-up';

const PLACES = [-1, 0, 1];
const RIGHT = 1;

/** Ada answers an adaptive assessment of the tutor, and reviews what she has learned on a card. Returns the id of the assessment. */
export async function beAssessed({ stores: { sapiens }, run, say }: Journey, { ada }: People): Promise<string> {
  const topic = `Constraints ${run}`;
  const { id: skillId } = await createSkill(sapiens, { slug: `constraints-${run}`, name: topic, topic });
  for (const [n, location] of PLACES.entries()) {
    await addItem(sapiens, {
      ...{ skillId, prompt: `May data break rule ${n + 1}?`, options: ['Yes', 'No'], correctOption: RIGHT },
      ...{ discrimination: 1.5, location, idempotencyKey: `journey:${run}:item:${n}` },
    });
  }
  const studentId = ada.userId;
  let assessment = await startAssessment(sapiens, { studentId, topic, idempotencyKey: `journey:${run}:quiz` });
  while (assessment.nextItem) {
    const { position } = assessment.nextItem;
    assessment = await answerItem(sapiens, { assessmentId: assessment.id, position, chosenOption: RIGHT });
  }
  const key = `journey:${run}:card`;
  const { id: cardId } = await addCard(sapiens, {
    studentId,
    front: 'UNIQUE',
    back: 'No value twice',
    idempotencyKey: key,
  });
  const { scheduledDays } = await reviewCard(sapiens, { cardId, number: 1, rating: 'easy' });
  const ability = assessment.ability.toFixed(2);
  say(`${ada.name} is assessed: ability ${ability}. She sees a card again in ${scheduledDays} days.`);
  return assessment.id;
}

/** Ada asks a member of the family for advice. Returns the id of the conversation. */
export async function askFamily({ stores: { family }, run, say }: Journey, { ada }: People): Promise<string> {
  const guide = await saveMember(family, {
    ...{ slug: 'journey-guide', name: 'Auntie Zola', role: 'Mentor', traits: ['patient'] },
    background: 'Has delivered contracts for thirty years.',
  });
  const { id: conversationId } = await startConversation(family, { userId: ada.userId, memberId: guide.id });
  const { answer } = await tell(family, deterministicResponder(), {
    ...{ conversationId, userId: ada.userId, content: 'I finished my first job. What should I learn next?' },
    idempotencyKey: `journey:${run}:question`,
  });
  say(
    `${ada.name} asks ${guide.name} what to learn next, and is answered in ${answer.content.split(/\s+/).length} words.`,
  );
  return conversationId;
}

/** Nexus hears what Ada and Ben did, and recommends Ada the course that follows in Ben's footsteps. */
export async function beRecommended(
  { stores: { nexus }, run, say }: Journey,
  { ada, ben }: People,
  { courseId, title }: JourneyEnrollment,
): Promise<void> {
  const next = `indexes-${run}`;
  await saveItems(nexus, { items: [courseId, next].map((itemId) => ({ itemType: 'course', itemId, tags: [run] })) });
  for (const { userId } of [ada, ben]) await saveProfile(nexus, { userId });
  const took = (userId: string, itemId: string) =>
    ({ userId, eventId: `took-${itemId}`, kind: 'complete', itemType: 'course', itemId }) as const;
  const interactions = [took(ada.userId, courseId), took(ben.userId, courseId), took(ben.userId, next)];
  await track(nexus, { interactions });
  while ((await refreshProfiles(nexus)) > 0);
  const [offer] = await recommend(nexus, { userId: ada.userId, context: { itemTypes: ['course'], tags: [run] } });
  // Nexus knows the ids of items, and the services that own them know the titles.
  const reason = offer?.reason.replace(courseId, `"${title}"`);
  say(`Nexus recommends ${ada.name} the course ${offer?.itemId === next ? 'about indexes' : 'unknown'}: ${reason}`);
}
