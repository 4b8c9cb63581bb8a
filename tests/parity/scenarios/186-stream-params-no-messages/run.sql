insert into om values (1);
select pg_logical_emit_message(true, 'p', 'm');
select pg_logical_emit_message(false, 'p', 'm');
begin; select pg_logical_emit_message(true, 'p', 'm'); insert into om values (2); commit;
