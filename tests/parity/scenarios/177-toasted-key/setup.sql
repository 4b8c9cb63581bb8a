create table tk (id text primary key, v text); alter table tk alter column id set storage external; alter table tk alter column v set storage external;
create table tf (id int primary key, big text, v int); alter table tf alter column big set storage external; alter table tf replica identity full;
