DROP TABLE "family_interactions";
DROP TABLE "messages";
DROP TABLE "conversations";
DROP TABLE "family_relationships";
DROP TABLE "family_members";

DROP TYPE "interaction_kind";
DROP TYPE "message_role";
DROP TYPE "relationship_kind";
DROP TYPE "mood";
