-- New statuses, in a migration of their own, because PostgreSQL accepts a new value of an enum only after the transaction that
-- added it. A job that has ended is closed: its contract was completed, or its employer stopped looking.
-- Locks: none that wait for readers or writers.
-- Care: an instance that still runs the previous version cannot read a job with the status closed.

SET LOCAL lock_timeout = '5s';

ALTER TYPE "job_status" RENAME VALUE 'completed' TO 'closed';
ALTER TYPE "application_status" ADD VALUE 'shortlisted' AFTER 'submitted';
ALTER TYPE "milestone_status" ADD VALUE 'settled' AFTER 'approved';
ALTER TYPE "escrow_status" ADD VALUE 'requested' BEFORE 'held';
ALTER TYPE "escrow_status" ADD VALUE 'settling' AFTER 'held';
ALTER TYPE "escrow_status" ADD VALUE 'cancelled' AFTER 'refunded';
