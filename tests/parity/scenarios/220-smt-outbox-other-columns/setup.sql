create table events (event_id bigint primary key, kind text not null, subject int not null, body bytea, at timestamptz);
insert into events values (0,'orders.snap',1,'\x00ff',now());
