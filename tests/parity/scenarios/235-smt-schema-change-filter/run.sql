insert into m values (2);
