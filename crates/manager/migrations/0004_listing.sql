-- Snapshots of one resource, newest first: a page is read without the pages before it.
DROP INDEX item_resource;
CREATE INDEX item_resource ON item (resource, time, snapshot);
