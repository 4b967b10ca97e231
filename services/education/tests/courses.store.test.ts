/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  addModule,
  archiveCourse,
  changeStudentStatus,
  createCourse,
  deleteCourse,
  deleteStudent,
  type Education,
  findAssessment,
  findCourse,
  findStudent,
  getCourse,
  getStudent,
  listCourses,
  listModules,
  listStudents,
  openEducation,
  publishCourse,
  registerStudent,
  removeAssessment,
  removeModule,
  reorderModules,
  restoreCourse,
  restoreStudent,
  setAssessment,
  setPrerequisites,
  updateCourse,
  updateModule,
  updateStudent,
} from '../src';
import {
  fresh,
  givenCourse,
  givenDraft,
  givenEnrollment,
  givenStores,
  givenStudent,
  outcomes,
} from './education-given';

describe('courses and students', () => {
  const db = useDatabase('education');
  let education: Education;
  beforeAll(() => {
    education = openEducation({ url: db().url });
  });
  afterAll(() => education.close());

  const titles = async (courseId: string) =>
    (await listModules(education, { courseId })).map(({ position, title }) => `${position} ${title}`);
  const code = async (promise: Promise<unknown>) => (await outcomes([promise]))[0];

  it('creates a draft, changes it and finds it', async () => {
    const slug = fresh('slug');
    const made = await createCourse(education, {
      slug,
      instructorId: 'teacher',
      title: 'Bread',
      category: 'Baking',
      durationHours: 3,
      price: '12.50',
      capacity: 5,
    });
    expect(made).toMatchObject({ status: 'draft', level: 'beginner', capacity: 5, refundDays: 14, publishedAt: null });
    expect('search' in made).toBe(false);
    const changed = await updateCourse(education, {
      courseId: made.id,
      description: 'Fermenting dough',
      capacity: null,
      price: '0',
    });

    expect([changed.capacity, changed.price.toString(), changed.title]).toEqual([null, '0', 'Bread']);
    expect(await findCourse(education, { slug })).toEqual(changed);
    expect(await getCourse(education, { courseId: made.id })).toEqual(changed);
    const found = await listCourses(education, {
      text: 'ferment',
      category: 'Baking',
      level: 'beginner',
      status: 'draft',
    });
    expect(found.items).toEqual([changed]);
    expect(await code(createCourse(education, { ...made, slug, price: '1', refundMaxProgress: 1 } as never))).toBe(
      'EDUCATION.INVALID_INPUT',
    );
    const again = { slug, instructorId: 'x', title: 'x', category: 'x', durationHours: 1 };
    expect(await code(createCourse(education, again))).toBe('EDUCATION.SLUG_TAKEN');
    expect(await code(createCourse(education, { ...again, slug: 'a b' }))).toBe('EDUCATION.INVALID_INPUT');
    expect(await code(createCourse(education, { ...again, price: '-1' }))).toBe('EDUCATION.INVALID_INPUT');
    expect(await code(createCourse(education, { ...again, price: '0.000000001' }))).toBe('MONEY.TOO_PRECISE');
    expect(await code(getCourse(education, { courseId: 'none' }))).toBe('EDUCATION.COURSE_NOT_FOUND');
  });

  it('publishes a course only when it is complete, and names what is missing', async () => {
    const { id: courseId } = await createCourse(education, {
      slug: fresh('slug'),
      instructorId: 'teacher',
      title: 'Tea',
      category: 'Drinks',
      durationHours: 1,
    });
    const publish = () => publishCourse(education, { courseId });
    const missing = (...list: string[]) => ({ code: 'EDUCATION.COURSE_INCOMPLETE', meta: { missing: list } });
    await expect(publish()).rejects.toMatchObject(missing('a description', 'a module'));
    await updateCourse(education, { courseId, description: 'Leaves' });
    const { id: moduleId } = await addModule(education, { courseId, title: 'Water' });
    await expect(publish()).rejects.toMatchObject(missing('lessons in every module'));
    await updateModule(education, { moduleId, lessons: ['Boil'] });
    const published = await publish();

    expect(published).toMatchObject({ status: 'published', publishedAt: expect.any(Date) });
    expect(await publish()).toEqual(published);
    expect(await code(updateCourse(education, { courseId, description: '' }))).toBe('EDUCATION.COURSE_INCOMPLETE');
  });

  it('orders modules without gaps', async () => {
    const { course } = await givenDraft(education);
    const { id: courseId } = course;
    const middle = await addModule(education, { courseId, title: 'Middle', lessons: ['x'], position: 2 });
    expect(middle.position).toBe(2);
    expect(await titles(courseId)).toEqual(['1 First', '2 Middle', '3 Second']);
    expect(await code(addModule(education, { courseId, title: 'Far', position: 5 }))).toBe('EDUCATION.INVALID_INPUT');
    const ids = (await listModules(education, { courseId })).map(({ id }) => id);
    const turned = await reorderModules(education, { courseId, moduleIds: [...ids].reverse() });
    expect(turned.map(({ title }) => title)).toEqual(['Second', 'Middle', 'First']);
    for (const wrong of [ids.slice(1), [...ids, 'more'], [ids[0] ?? '', ids[0] ?? '', ids[1] ?? '']]) {
      expect(await code(reorderModules(education, { courseId, moduleIds: wrong }))).toBe('EDUCATION.INVALID_INPUT');
    }
    expect((await removeModule(education, { moduleId: middle.id })).id).toBe(middle.id);

    expect(await titles(courseId)).toEqual(['1 Second', '2 First']);
    expect(await code(removeModule(education, { moduleId: middle.id }))).toBe('EDUCATION.MODULE_NOT_FOUND');
  });

  it('keeps the structure of a published course, and everything of an archived one', async () => {
    const { courseId, moduleIds } = await givenCourse(education, { assessment: { title: 'Quiz' } });
    const [moduleId] = moduleIds;
    const structural = [
      () => addModule(education, { courseId, title: 'New' }),
      () => removeModule(education, { moduleId }),
      () => updateModule(education, { moduleId, lessons: ['One'] }),
      () => setAssessment(education, { moduleId, title: 'New' }),
      () => removeAssessment(education, { moduleId }),
      () => deleteCourse(education, { courseId }),
    ];
    for (const change of structural) expect(await code(change())).toBe('EDUCATION.COURSE_FIXED');
    await updateModule(education, { moduleId, title: 'Renamed', lessons: ['Eins', 'Zwei'], durationMinutes: 5 });
    await reorderModules(education, { courseId, moduleIds: [moduleIds[1], moduleIds[0]] });
    expect(await titles(courseId)).toEqual(['1 Second', '2 Renamed']);
    await archiveCourse(education, { courseId });

    expect((await archiveCourse(education, { courseId })).status).toBe('archived');
    expect(await code(updateCourse(education, { courseId, title: 'New' }))).toBe('EDUCATION.COURSE_FIXED');
    expect(await code(updateModule(education, { moduleId, title: 'New' }))).toBe('EDUCATION.COURSE_FIXED');
  });

  it('gives a module of a draft one assessment', async () => {
    const { modules } = await givenDraft(education);
    const moduleId = modules[0]?.id ?? '';
    const set = (fields: object) => setAssessment(education, { moduleId, title: 'Quiz', ...fields });
    const first = await set({});
    expect([first.maxScore.toNumber(), first.passScore.toNumber(), first.isRequired]).toEqual([100, 60, true]);
    const second = await set({ answerKey: { q: { answer: true, points: 4 } }, isRequired: false });
    expect([second.id, second.maxScore.toNumber(), second.passScore.toNumber()]).toEqual([first.id, 4, 2.4]);
    expect(await code(set({ passScore: 101 }))).toBe('EDUCATION.INVALID_INPUT');
    expect(await code(set({ answerKey: {} }))).toBe('EDUCATION.INVALID_INPUT');
    expect(await code(set({ answerKey: { q: { answer: 1, points: 0 } } }))).toBe('EDUCATION.INVALID_INPUT');
    await removeAssessment(education, { moduleId });
    await removeAssessment(education, { moduleId });

    expect(await findAssessment(education, { moduleId })).toBeNull();
  });

  it('accepts prerequisites without cycles', async () => {
    const [a, b, c] = [
      (await givenDraft(education)).course.id,
      (await givenDraft(education)).course.id,
      (await givenDraft(education)).course.id,
    ];
    const need = (courseId: string, ...prerequisiteIds: string[]) =>
      setPrerequisites(education, { courseId, prerequisiteIds });
    await need(b, a);
    expect(await need(c, b, a)).toHaveLength(2);
    for (const [course, needed] of [
      [a, c],
      [a, a],
      [b, c],
    ] as const) {
      expect(await code(need(course, needed))).toBe('EDUCATION.PREREQUISITE_CYCLE');
    }
    expect(await code(need(a, 'none'))).toBe('EDUCATION.COURSE_NOT_FOUND');
    expect(await need(c)).toEqual([]);
    const stores = givenStores(db(), 4);
    const results = await outcomes(
      stores.map((store, n) =>
        setPrerequisites(
          store,
          n % 2 === 0 ? { courseId: a, prerequisiteIds: [c] } : { courseId: c, prerequisiteIds: [a] },
        ),
      ),
    );
    await Promise.all(stores.map((store) => store.close()));

    expect(new Set(results)).toEqual(new Set(['done', 'EDUCATION.PREREQUISITE_CYCLE']));
  });

  it('deletes and restores what has no active students', async () => {
    const { courseId } = await givenCourse(education);
    const { studentId } = await givenEnrollment(education, courseId);
    expect(await code(deleteStudent(education, { studentId }))).toBe('EDUCATION.STILL_ENROLLED');
    await archiveCourse(education, { courseId });
    expect(await code(deleteCourse(education, { courseId }))).toBe('EDUCATION.STILL_ENROLLED');
    const draft = (await givenDraft(education)).course;
    await deleteCourse(education, { courseId: draft.id });
    expect(await findCourse(education, { slug: draft.slug })).toBeNull();
    expect(await code(publishCourse(education, { courseId: draft.id }))).toBe('EDUCATION.COURSE_NOT_FOUND');
    expect((await restoreCourse(education, { courseId: draft.id })).deletedAt).toBeNull();

    const other = await registerStudent(education, { userId: fresh('user'), displayName: 'Ben' });
    const deleted = await deleteStudent(education, { studentId: other.id });
    expect(await deleteStudent(education, { studentId: other.id })).toEqual(deleted);
    expect(await findStudent(education, { userId: other.userId })).toBeNull();
    expect(await code(registerStudent(education, { userId: other.userId, displayName: 'Ben' }))).toBe(
      'EDUCATION.STUDENT_NOT_FOUND',
    );
    expect((await restoreStudent(education, { studentId: other.id })).deletedAt).toBeNull();
    expect(await findStudent(education, { userId: other.userId })).toMatchObject({ displayName: 'Ben' });
  });

  it('registers a user once, and changes the given fields', async () => {
    const userId = fresh('user');
    const stores = givenStores(db(), 4);
    const made = await Promise.all(
      stores.map((store, n) =>
        registerStudent(store, { userId, displayName: `Ada ${n}`, gradeLevel: 12, country: 'ZA' }),
      ),
    );
    await Promise.all(stores.map((store) => store.close()));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    const studentId = made[0]?.id ?? '';
    const changed = await updateStudent(education, { studentId, gradeLevel: null, displayName: 'Ada' });

    expect(changed).toMatchObject({ displayName: 'Ada', gradeLevel: null, country: 'ZA' });
    expect(await getStudent(education, { studentId })).toEqual(changed);
    expect((await listStudents(education, { limit: 1 })).items).toEqual([changed]);
    for (const wrong of [{ displayName: ' ' }, { gradeLevel: 13 }, { country: 'za' }, { nonsense: 1 }]) {
      expect(await code(updateStudent(education, { studentId, ...wrong } as never))).toBe('EDUCATION.INVALID_INPUT');
    }
    expect(await code(getStudent(education, { studentId: 'none' }))).toBe('EDUCATION.STUDENT_NOT_FOUND');
  });

  describe('the status machines', () => {
    it('lets a student pause, come back and graduate for good', async () => {
      const studentId = await givenStudent(education);
      const become = (status: 'active' | 'paused' | 'graduated') =>
        changeStudentStatus(education, { studentId, status });
      for (const status of ['paused', 'paused', 'active', 'graduated'] as const)
        expect((await become(status)).status).toBe(status);

      await expect(become('active')).rejects.toMatchObject({
        code: 'EDUCATION.STATUS_REFUSED',
        message: 'A student cannot go from graduated to active',
      });
    });

    it('refuses to archive a draft and to publish an archived course', async () => {
      const { course } = await givenDraft(education);
      const refused = { code: 'EDUCATION.STATUS_REFUSED' };
      await expect(archiveCourse(education, { courseId: course.id })).rejects.toMatchObject(refused);
      const { courseId } = await givenCourse(education);
      await archiveCourse(education, { courseId });

      await expect(publishCourse(education, { courseId })).rejects.toMatchObject(refused);
    });
  });
});
