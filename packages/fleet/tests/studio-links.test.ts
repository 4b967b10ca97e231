/** @server any */
import { readLinks } from '../src/operations/studio/models';
import { givenFleet, removeFleets } from './fleet-fixture';
import { contextOf } from './studio-read-fixture';

/** A grade belongs to an enrollment, and its module to the course of the enrollment. */
const SCHOOL = `
model Course {
  id      String   @id
  modules Module[]
  grades  Grade[]
  @@map("courses")
}
model Module {
  id       String
  courseId String  @map("course_id")
  course   Course  @relation(fields: [courseId], references: [id])
  grades   Grade[]
  @@id([id, courseId])
  @@map("modules")
}
model Enrollment {
  key     Int
  student String
  course  String
  grades  Grade[]
  @@id([key, student, course])
  @@map("enrollments")
}
/// @erase delete
model Grade {
  id         Int        @id
  enrolled   Int
  /// @pii identifier
  student    String
  courseId   String     @map("course_id")
  moduleId   String     @map("module_id")
  course     Course     @relation(fields: [courseId], references: [id])
  module     Module     @relation(fields: [moduleId, courseId], references: [id, courseId])
  enrollment Enrollment @relation(fields: [enrolled, student, courseId], references: [key, student, course])
  @@map("grades")
}`;

describe('links', () => {
  afterAll(removeFleets);

  it('pair the columns of composite keys, prefer keys of one column, and leave out hidden columns', async () => {
    const fleet = await givenFleet({ school: { schema: SCHOOL, migrations: {} } });

    const links = readLinks(await contextOf(fleet));

    expect(links.map(({ table, column, toTable, toColumn }) => `${table}.${column} -> ${toTable}.${toColumn}`)).toEqual(
      ['grades.enrolled -> enrollments.key', 'grades.course_id -> courses.id', 'grades.module_id -> modules.id'],
    );
  });
});
