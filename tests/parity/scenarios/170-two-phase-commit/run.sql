begin; insert into tp values (1,'prepared'); select pg_logical_emit_message(false,'x','non transactional'); prepare transaction 'one';
insert into tp values (2,'between');
begin; insert into tp values (3,'rolled back'); prepare transaction 'two';
commit prepared 'one';
rollback prepared 'two';
insert into tp values (4,'behind');
