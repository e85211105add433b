"""The race as a film: the stage, the moving heads and their names, and what joins the frames."""
