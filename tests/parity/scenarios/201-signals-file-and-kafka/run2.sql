insert into other values (2);
