insert into p values (3,'while stopped'); select pg_logical_emit_message(false,'m','while stopped');
