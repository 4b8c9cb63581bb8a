create table og (id int primary key, v text);
select pg_replication_origin_create('elsewhere') where not exists (select 1 from pg_replication_origin where roname = 'elsewhere');
