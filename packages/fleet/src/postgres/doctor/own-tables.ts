/**
 * Restricts a query over pg_class to what migrations made in schema public: tables of extensions belong to those, and the
 * history is Prisma's.
 */
export function isOwn(relation: string): string {
  return `${relation}.relnamespace = 'public'::regnamespace AND ${relation}.relname <> '_prisma_migrations'
    AND NOT EXISTS (SELECT FROM pg_depend member WHERE member.classid = 'pg_class'::regclass
                      AND member.objid = ${relation}.oid AND member.deptype = 'e')`;
}
