create table d (id int primary key, a int not null, b text); insert into d values (1,10,'x');
