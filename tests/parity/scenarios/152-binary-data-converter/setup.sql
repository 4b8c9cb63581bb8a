create table bd (id text primary key, v text); insert into bd values ('é', 'snap');
