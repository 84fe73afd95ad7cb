-- What the owner and the web role may do in a database, run as its superuser. docker/compose.yaml's server runs it too.
-- Core's migrations take UPDATE, DELETE and TRUNCATE on the trails away again.
GRANT ALL ON SCHEMA public TO controlplane;
GRANT USAGE ON SCHEMA public TO controlplane_web;
ALTER DEFAULT PRIVILEGES FOR ROLE controlplane GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO controlplane_web;
ALTER DEFAULT PRIVILEGES FOR ROLE controlplane GRANT USAGE ON SEQUENCES TO controlplane_web;
