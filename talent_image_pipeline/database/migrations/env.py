"""What Alembic runs: the migrations, in the transaction that ``migrate.py`` has opened."""

from alembic import context

from talent_image_pipeline.database.schema_revision import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
