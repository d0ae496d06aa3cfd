// MartletDataflow
