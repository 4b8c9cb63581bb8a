insert into s1 values (11,'while stopped');
