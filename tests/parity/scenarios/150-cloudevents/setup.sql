create table ce (id int primary key, v text default 'dflt', n numeric(6,2), b bytea); insert into ce values (1, 'snap', 1.5, '\x0102');
