create table e (id int primary key, k text not null, v text); alter table e replica identity full;
