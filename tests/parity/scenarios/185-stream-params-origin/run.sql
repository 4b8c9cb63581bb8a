insert into og values (1,'here');
select pg_replication_origin_session_setup('elsewhere');
insert into og values (2,'from elsewhere');
begin; insert into og values (3,'from elsewhere'); update og set v='changed elsewhere' where id=1; select pg_logical_emit_message(true, 'p', 'from elsewhere'); commit;
select pg_replication_origin_session_reset();
insert into og values (4,'here');
begin; update og set v='here again' where id=2; delete from og where id=3; commit;
