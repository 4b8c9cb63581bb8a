insert into h values (2,'"😀"=>NULL, ""=>"", "back\\\\slash"=>"new
line"','');
insert into h (id) values (3);
