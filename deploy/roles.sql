-- The role of the app's database that runs and services use, with the least rights: run once after talent-images migrate,
-- by whoever migrated (the owner of "Talent"), and again after each upgrade. Variables: role, app_schema, image_schema.
--   psql -v role=talent_images -v app_schema=public -v image_schema=talent_images -f deploy/roles.sql agency
GRANT USAGE ON SCHEMA :"app_schema", :"image_schema" TO :"role";
-- The app's tables: read both; write our three columns, and a token that was refreshed. Nothing else.
GRANT SELECT ON :"app_schema"."Talent", :"app_schema"."SocialAccountConnection" TO :"role";
GRANT UPDATE ("profileImageUrl", "profileImageSource", "lastProfileImageSyncAt") ON :"app_schema"."Talent" TO :"role";
GRANT UPDATE ("accessToken", "refreshToken", "expiresAt") ON :"app_schema"."SocialAccountConnection" TO :"role";
-- Our own tables, also those that a later migration makes.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA :"image_schema" TO :"role";
GRANT USAGE ON ALL SEQUENCES IN SCHEMA :"image_schema" TO :"role";
ALTER DEFAULT PRIVILEGES IN SCHEMA :"image_schema" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"role";
ALTER DEFAULT PRIVILEGES IN SCHEMA :"image_schema" GRANT USAGE ON SEQUENCES TO :"role";
