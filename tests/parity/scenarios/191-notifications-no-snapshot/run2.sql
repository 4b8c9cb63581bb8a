insert into s1 values (11,'after a restart');
