/** A dialogue between a user and the family in which facts are planted among small talk, and questions about them. */
export interface PlantedDialogue {
  readonly lines: readonly { readonly by: 'user' | 'member'; readonly text: string }[];
  /** `evidence` is the index of the line that answers the question. */
  readonly questions: readonly { readonly text: string; readonly evidence: number }[];
}

const PEOPLE = [
  'my sister',
  'my brother',
  'my mother',
  'my uncle',
  'my teacher',
  'my neighbour',
  'my cousin',
  'my best friend',
];
const NAMES = [
  'Wanjiru',
  'Achieng',
  'Kwame',
  'Thandiwe',
  'Zainab',
  'Tendai',
  'Chinedu',
  'Naserian',
  'Makena',
  'Lerato',
];
const PLACES = [
  'Kisumu',
  'Kilimanjaro',
  'Zanzibar',
  'Gaborone',
  'Lusaka',
  'Stellenbosch',
  'Mombasa',
  'Windhoek',
  'Kigali',
  'Tamale',
];
const THINGS = [
  'guitar',
  'bicycle',
  'telescope',
  'sewing machine',
  'goat',
  'laptop',
  'drum',
  'camera',
  'notebook',
  'canoe',
];
const SUBJECTS = [
  'algebra',
  'chemistry',
  'poetry',
  'loops',
  'geography',
  'accounting',
  'grammar',
  'statistics',
  'history',
  'welding',
];
const MONTHS = ['January', 'March', 'April', 'June', 'August', 'October', 'November'];

/** Each template: what the user says, and questions in other words, or with a typing error. */
const TEMPLATES: readonly ((
  it: Readonly<Record<string, string>>,
) => readonly [fact: string, ...questions: string[]])[] = [
  (it) => [
    `By the way, ${it['person']} ${it['name']} moved to ${it['place']} in ${it['month']}.`,
    `Where does ${it['name']} live now?`,
    `Who moved to ${it['place']}?`,
  ],
  (it) => [
    `I bought a ${it['thing']} from ${it['name']} last week, after saving since ${it['month']}.`,
    `From whom did I buy the ${it['thing']}, was it ${it['name']?.slice(0, -1)}?`,
    `What did I buy from ${it['name']}?`,
  ],
  (it) => [
    `The ${it['subject']} exam in ${it['place']} went badly, I only got forty points.`,
    `How many points did I get in the exam on ${it['subject']} at ${it['place']}?`,
    `Which of my exams was in ${misspelt(it['place'] ?? '')} and went badly?`,
  ],
  (it) => [
    `${it['name']} is afraid of flying, so we take the bus to ${it['place']} with the ${it['thing']}.`,
    `Why are we taking a bus with ${it['name']} to ${it['place']}?`,
    `What is ${it['name']} afraid of?`,
  ],
];

const SMALL_TALK = [
  'The weather is fine today.',
  'I slept well and had tea with bread.',
  'What should I learn next?',
  'My friend and I went for a walk by the river.',
  'I am a little tired after work.',
  'The bus was late again.',
  'We watched a film about the history of trains.',
  'I like to read in the evening.',
  'Is there an exam this month?',
  'My neighbour plays the drum all night.',
];
const REPLIES = [
  'What did you enjoy most?',
  'Take your time.',
  'Which part was hard for you?',
  'Tell me more about your week.',
  'I am glad that you came to talk.',
];

/** 60 facts and 120 questions in 720 lines; the same for the same seed. */
export function plantedDialogue(seed: number): PlantedDialogue {
  const random = randomFrom(seed);
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)] as Item;
  const lines: { by: 'user' | 'member'; text: string }[] = [];
  const questions: { text: string; evidence: number }[] = [];
  const smallTalk = () => {
    for (let n = 0; n < 5; n += 1) {
      const [topic, thing] = [pick(SUBJECTS), pick(THINGS)];
      const text = random() < 0.4 ? `I thought about ${topic} and my ${thing} in ${pick(PLACES)}.` : pick(SMALL_TALK);
      lines.push({ by: 'user', text }, { by: 'member', text: pick(REPLIES) });
    }
  };
  for (let n = 0; n < 60; n += 1) {
    smallTalk();
    const it = {
      ...{ person: pick(PEOPLE), name: pick(NAMES), place: pick(PLACES), thing: pick(THINGS) },
      ...{ subject: pick(SUBJECTS), month: pick(MONTHS) },
    };
    const template = TEMPLATES[n % TEMPLATES.length] as (typeof TEMPLATES)[number];
    const [fact, ...asked] = template(it);
    questions.push(...asked.map((text) => ({ text, evidence: lines.length })));
    lines.push({ by: 'user', text: fact }, { by: 'member', text: pick(REPLIES) });
  }
  return { lines, questions };
}

/** Without its third letter. */
function misspelt(word: string): string {
  return word.slice(0, 2) + word.slice(3);
}

/** Numbers from 0 to 1 by mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
