create table tp (id int primary key, v text);
