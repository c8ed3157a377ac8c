"""The embedded database for tests: one cluster a session, a fresh migrated database a test."""
