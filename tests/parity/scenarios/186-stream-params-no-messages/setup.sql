create table om (id int primary key);
