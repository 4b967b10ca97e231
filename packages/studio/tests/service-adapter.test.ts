/** @server none */
import { withEstimatedCount } from '../src/data/service-adapter';

const COUNT = 'with "__ps_agg__" as (select cast(coalesce(count(*), 0) as text) as "__ps_count__" from';

describe('withEstimatedCount', () => {
  it('estimates the rows of a large table without a filter', () => {
    const { sql, parameters } = withEstimatedCount({
      sql: `${COUNT} "public"."it's" where true) select 1`,
      parameters: [25],
    });

    expect(sql).toContain(`else (select count(*)::text from "public"."it's")`);
    expect(sql).toContain(`c.oid = '"public"."it''s"'::regclass) select 1`);
    expect(parameters).toEqual([25]);
  });

  it('counts the rows that match a filter', () => {
    const query = { sql: `${COUNT} "public"."users" where "id" = $1) select 1`, parameters: ['a'] };

    expect(withEstimatedCount(query)).toEqual(query);
  });
});
