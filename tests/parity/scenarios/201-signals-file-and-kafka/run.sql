insert into other values (1);
